//! How processes begin, fail and end.

use std::fs;

use super::*;
use crate::model::{ManualClock, Timestamp};
use crate::net::scratch::Scratch;

fn source(error: &ForwardError) -> String {
    crate::model::with_causes(error)
}

#[tokio::test]
async fn a_server_that_writes_garbage_is_ended() {
    let upstream = start(settings());
    for (tool, reason) in [("garbage", "not a JSON-RPC message"), ("huge", "more than 50000 bytes")] {
        let (session, pid) = open(&upstream, "alice").await;
        let error = legacy(&session).tool(1, tool).send(&upstream).await.unwrap_err();
        assert!(
            matches!(error, ForwardError::Exchange { .. }) && source(&error).contains(reason),
            "{}",
            source(&error)
        );
        assert_eq!(legacy(&session).tool(2, "pid").ask(&upstream).await.status, StatusCode::NOT_FOUND);
        let (_, another) = open(&upstream, "alice").await;
        assert_ne!(pid, another);
    }
}

#[tokio::test]
async fn a_server_that_dies_takes_its_calls_with_it_and_is_started_again() {
    let upstream = start(settings());
    let first = modern().tool(1, "pid").ask(&upstream).await.pid();
    let (held, died) = tokio::join!(modern().tool(2, "hold").send(&upstream), modern().tool(3, "die").send(&upstream));
    for error in [held.unwrap_err(), died.unwrap_err()] {
        assert!(matches!(error, ForwardError::Exchange { .. }), "{error}");
    }
    assert_ne!(modern().tool(4, "pid").ask(&upstream).await.pid(), first);
    // An answer that has begun breaks off where it is.
    let mut body = modern().tool(5, "hold_aloud").send(&upstream).await.unwrap().into_body();
    assert_eq!(next_events(&mut body).await.len(), 1);
    modern().tool(6, "die").send(&upstream).await.unwrap_err();
    assert!(body.frame().await.unwrap().is_err());
}

#[tokio::test]
async fn a_server_that_cannot_begin_is_started_more_and_more_rarely() {
    let scratch = Scratch::new();
    let starts = scratch.path("starts");
    let mut settings = StdioSettings { timeout: Duration::from_millis(900), ..settings() };
    settings.environment.push(("STARTS".into(), starts.display().to_string()));
    settings.environment.push(("FAILS".into(), "1".into()));
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
    let upstream = StdioUpstream::new(settings, Arc::clone(&clock) as _);
    let first = modern().tool(1, "pid").send(&upstream).await.unwrap_err();
    assert!(matches!(first, ForwardError::Exchange { .. }), "{first}");
    // The clock stands still: the wait does not end.
    let waiting = modern().tool(1, "pid").send(&upstream).await.unwrap_err();
    assert!(matches!(waiting, ForwardError::Timeout { .. }), "{waiting}");
    let started = fs::read_to_string(&starts).unwrap().len();
    clock.advance_micros(20_000_000);
    modern().tool(1, "pid").send(&upstream).await.unwrap_err();
    assert_eq!(fs::read_to_string(&starts).unwrap().len(), started + 1);

    let nothing = StdioSettings { command: vec!["/nonexistent/server".into()], ..super::settings() };
    let error = modern().tool(1, "pid").send(&start(nothing)).await.unwrap_err();
    assert!(matches!(error, ForwardError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn nothing_of_our_environment_reaches_a_server() {
    let mut settings = settings();
    settings.environment.push(("GIVEN".into(), "yes".into()));
    let given: Vec<String> = settings.environment.iter().map(|(name, _)| name.clone()).collect();
    let seen = modern().tool(1, "environment").ask(&start(settings)).await.message["result"].take();
    assert_eq!(seen["GIVEN"], "yes");
    // What a launcher of the interpreter sets for itself.
    let own = |name: &str| ["PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"].contains(&name) || name.starts_with("PYENV");
    let ours = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let ours: Vec<String> = ours.filter(|name| !given.contains(name) && !own(name)).collect();
    assert!(!ours.is_empty(), "there is something to leak");
    for name in ours {
        assert!(seen.get(&name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn the_end_closes_the_input_first_and_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let closed = scratch.path("closed");
    let mut settings = settings();
    settings.environment.push(("CLOSED".into(), closed.display().to_string()));
    let upstream = start(settings);
    let polite = modern().tool(1, "pid").ask(&upstream).await.pid();
    let child = modern().tool(2, "child").ask(&upstream).await.pid();
    assert!(exists(polite) && exists(child));
    upstream.close().await;
    assert!(!exists(polite), "reaped");
    assert_eq!(fs::read_to_string(&closed).unwrap(), "closed", "it could tidy up");
    // The orphan's end is its new parent's to notice; the test ends when it is dead, and hangs while it is not.
    while !is_gone_or_dead(child) {
        tokio::task::yield_now().await;
    }
    let refused = modern().tool(3, "pid").send(&upstream).await.unwrap_err();
    assert!(matches!(refused, ForwardError::Connect { .. }), "{refused}");
}

#[tokio::test]
async fn a_server_that_does_not_want_to_end_is_killed() {
    let upstream = start(settings());
    let stubborn = modern().tool(1, "stubborn").ask(&upstream).await.pid();
    upstream.close().await;
    assert!(!exists(stubborn));
}

#[tokio::test]
async fn an_idle_process_is_ended_and_a_listener_is_not_idle() {
    let upstream = start(StdioSettings { idle: Duration::from_millis(50), processes_max: 2, ..settings() });
    let (listened_to, _) = open(&upstream, "alice").await;
    let mut stream = legacy(&listened_to).with(Method::GET).send(&upstream).await.unwrap().into_body();
    assert_eq!(next_events(&mut stream).await.len(), 1);
    let (quiet, _) = open(&upstream, "alice").await;
    let mut ended = legacy(&quiet).with(Method::GET).send(&upstream).await.unwrap();
    while ended.status() != StatusCode::NOT_FOUND {
        drop(ended);
        tokio::task::yield_now().await;
        // Looking is not using: a notification to nobody.
        ended = legacy(&quiet)
            .post(json!({ "jsonrpc": "2.0", "method": "notifications/x" }))
            .send(&upstream)
            .await
            .unwrap();
    }
    assert_eq!(legacy(&listened_to).tool(1, "pid").ask(&upstream).await.status, StatusCode::OK);
}

#[tokio::test]
async fn so_many_calls_at_once_and_no_more() {
    let upstream = start(StdioSettings { concurrency_max: 1, ..settings() });
    let mut body = modern().tool(1, "hold_aloud").send(&upstream).await.unwrap().into_body();
    let refused = modern().tool(2, "echo").send(&upstream).await.unwrap_err();
    assert!(matches!(refused, ForwardError::Overloaded { limit: 1, .. }), "{refused}");
    assert_eq!(next_events(&mut body).await.len(), 1);
}

fn is_gone_or_dead(pid: i64) -> bool {
    // `pid (name) state ...`
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}
