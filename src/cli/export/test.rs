//! `countersign export test`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{EXIT_FAILED, Place, Refused, block_on, pusher};
use crate::export::{Pushed, Pusher, SendError};
use crate::net::SystemClock;
use crate::record::Archive;

/// How often a receiver is asked for the event: indexing takes a second or two.
const LOOKS_MAX: usize = 20;

/// Time between looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The destination.
    name: String,
    #[command(flatten)]
    place: Place,
}

struct Tested {
    id: String,
    said: Option<String>,
    pushed: Pushed,
    found: Option<bool>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Refused> {
    let plan = arguments.place.plan()?;
    // A destination can be tested before there is a log.
    let origin = Archive::open(&plan.data_dir).map_or_else(|_| "localhost/test".into(), |log| log.origin().to_owned());
    let pusher = pusher(&plan, &arguments.name, &origin)?;
    let tested = block_on(test(&pusher))?;
    let tested = tested.map_err(|error| Refused::failed(&error))?;
    let taken = tested.pushed.rejected.is_empty() && tested.found != Some(false);
    if arguments.place.json {
        let rejected = tested.pushed.rejected.first().map(|(_, problem)| problem);
        println!(
            "{}",
            json!({
                "name": arguments.name, "event_id": tested.id, "taken": tested.pushed.arrived > 0,
                "rejected": rejected, "receiver": tested.said, "read_back": tested.found,
            })
        );
    } else {
        println!("event {}", tested.id);
        if let Some(said) = tested.said {
            println!("the receiver says: {said}");
        }
        match (tested.pushed.rejected.first(), tested.found) {
            (Some((_, problem)), _) => println!("rejected: {problem}"),
            (None, Some(true)) => println!("taken, and read back"),
            (None, Some(false)) => println!("taken, but it cannot be found there"),
            (None, None) => println!("taken; this kind of receiver cannot be asked for it"),
        }
    }
    Ok(if taken { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

async fn test(pusher: &Pusher) -> Result<Tested, SendError> {
    let items = pusher.test_event(&SystemClock::new()).map_err(SendError::later)?;
    let id = items.first().map(|item| item.id.clone()).unwrap_or_default();
    let said = pusher.destination().check().await?;
    let pushed = pusher.push(items, |_| ()).await?;
    let mut found = None;
    for _ in 0..LOOKS_MAX {
        found = pusher.destination().look_up(&id).await?;
        if found != Some(false) || !pushed.rejected.is_empty() {
            break;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(Tested { id, said, pushed, found })
}
