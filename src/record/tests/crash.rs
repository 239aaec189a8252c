//! The power goes at every operation, and again while the log recovers. What anybody was told must be there.

use super::*;
use crate::record::Checkpoint;
use crate::record::disk::Survivors;

/// Rounds of appending: several writes, several segments, more than one bundle, checkpoints in between.
const ROUNDS: u64 = 5;
const ENTRIES_A_ROUND: u64 = 70;

/// What the world outside saw before the power went.
#[derive(Default)]
struct Seen {
    /// The size that was confirmed.
    acknowledged: u64,
    appended: u64,
    checkpoints: Vec<Arc<Checkpoint>>,
}

fn length(number: u64) -> usize {
    usize::try_from(200 + number * 997 % 4_000).unwrap()
}

async fn work(log: &Log, seen: &mut Seen, rounds: u64) -> Result<(), RecordError> {
    for round in 0..rounds {
        let mut waiting = Vec::new();
        for _ in 0..ENTRIES_A_ROUND {
            let slot = log.reserve().await?;
            waiting.push(log.append(slot, entry(seen.appended, length(seen.appended))));
            seen.appended += 1;
        }
        for appended in waiting {
            assert_eq!(appended.durable().await?, seen.acknowledged);
            seen.acknowledged += 1;
        }
        if round % 2 == 0 {
            seen.checkpoints.push(log.checkpoint_now().await?);
        }
    }
    log.close().await?;
    Ok(())
}

async fn run(disk: &FaultyDisk, seen: &mut Seen, rounds: u64) {
    let Ok((log, _)) = open(disk) else { return };
    let mut shown = log.watch_checkpoint();
    // An error is what the power cut looks like from here.
    work(&log, seen, rounds).await.ok();
    seen.checkpoints.extend(shown.borrow_and_update().clone());
}

/// Opens after a crash and checks everything that was promised.
fn check(disk: &FaultyDisk, seen: &mut Seen, when: &str) -> Log {
    let (log, opened) =
        open(disk).unwrap_or_else(|error| panic!("{when}: {error}: {:?}", std::error::Error::source(&error)));
    assert!(opened.size >= seen.acknowledged, "{when}: {} of {} entries", opened.size, seen.acknowledged);
    assert!(opened.size <= seen.appended, "{when}");
    let entries = read_all(&log);
    for (number, stored) in (0..).zip(&entries) {
        assert_eq!(*stored, entry(number, length(number)), "{when}: entry {number}");
    }
    for checkpoint in &seen.checkpoints {
        let covered = &entries[..usize::try_from(checkpoint.size).unwrap()];
        assert_eq!(root_of(covered), checkpoint.root, "{when}: two trees were signed");
    }
    audit(&log);
    seen.acknowledged = opened.size;
    log
}

fn survivors(n: u64) -> Survivors {
    match n % 4 {
        0 => Survivors::All,
        1 => Survivors::None,
        _ => Survivors::Some(n),
    }
}

#[tokio::test]
async fn nothing_that_was_confirmed_is_lost_wherever_the_power_goes() {
    let mut n = 1;
    let mut crashes = 0;
    loop {
        let disk = FaultyDisk::new();
        disk.power_off_at(n);
        let mut seen = Seen::default();
        run(&disk, &mut seen, ROUNDS).await;
        let finished = disk.changes() < n;
        let when = format!("operation {n}");
        let disk = disk.crash(survivors(crashes));
        // The power goes again while the log recovers, at another operation each time.
        disk.power_off_at(1 + n % 23);
        drop(open(&disk));
        let disk = disk.crash(survivors(crashes / 4));
        drop(check(&disk, &mut seen, &when));
        let disk = disk.crash(Survivors::None);
        let log = check(&disk, &mut seen, &format!("{when}, again"));
        seen.appended = seen.acknowledged;
        run_on(log, &mut seen).await;
        let disk = disk.restart();
        drop(check(&disk, &mut seen, &format!("{when}, after more")));
        if finished {
            break;
        }
        crashes += 1;
        // Every second operation on average: the rest is for the long runs.
        n += 1 + crashes % 3;
    }
    assert!(crashes > 100, "{crashes} crashes are fewer than the workload has operations");
}

async fn run_on(log: Log, seen: &mut Seen) {
    work(&log, seen, 1).await.unwrap();
    audit(&log);
}
