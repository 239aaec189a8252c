//! Tools that say something before their result: log messages, progress, announcements, an early end of the stream.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, LoggingLevel, LoggingMessageNotificationParam,
    ProgressNotificationParam,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::json;

use crate::content::text;
use crate::fixture::{Change, Fixture, is_stateless};

/// The pause between two notifications that the suite asks for: long enough to see whether someone buffers.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause that a caller can ask for.
const PAUSE_MS_MAX: u64 = 5_000;

/// The response of a tool of this kind, or `None` when the name belongs elsewhere.
pub(crate) async fn call(
    fixture: &Fixture,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let result = match request.name.as_ref() {
        "test_tool_with_logging" => {
            log(fixture, context, "Tool execution started").await;
            tokio::time::sleep(PAUSE).await;
            log(fixture, context, "Tool processing data").await;
            tokio::time::sleep(PAUSE).await;
            log(fixture, context, "Tool execution completed").await;
            text("Three messages logged")
        }
        "test_logging_tool" => {
            log(fixture, context, "One message").await;
            text("Logged, if the request asked for it")
        }
        "test_tool_with_progress" => {
            let pause = pause(request);
            for (index, done) in [0.0, 50.0, 100.0].into_iter().enumerate() {
                if index > 0 {
                    tokio::time::sleep(pause).await;
                }
                progress(context, done).await;
            }
            text("Progress reported three times")
        }
        "test_trigger_tool_change" => {
            announce(fixture, context, Change::Tools).await;
            text("Tool list change announced")
        }
        "test_trigger_prompt_change" => {
            announce(fixture, context, Change::Prompts).await;
            text("Prompt list change announced")
        }
        // The stream of this call ends at once (see `disconnect`); the result waits in the session for a reconnection.
        "test_reconnection" => {
            tokio::time::sleep(PAUSE).await;
            text("Delivered after the reconnection")
        }
        _ => return None,
    };
    Some(Ok(result.into()))
}

/// A log message, if this request (stateless) or this session (legacy) asked for its level.
async fn log(fixture: &Fixture, context: &RequestContext<RoleServer>, message: &str) {
    let asked = if is_stateless(context) { context.meta.log_level() } else { Some(*fixture.log_level.lock().unwrap()) };
    if asked.is_some_and(|level| severity(level) <= severity(LoggingLevel::Info)) {
        let message =
            LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(message)).with_logger("conformance");
        // A client that went away misses the message; the call goes on.
        drop(context.peer.notify_logging_message(message).await);
    }
}

fn severity(level: LoggingLevel) -> u8 {
    match level {
        LoggingLevel::Debug => 0,
        LoggingLevel::Info => 1,
        LoggingLevel::Notice => 2,
        LoggingLevel::Warning => 3,
        LoggingLevel::Error => 4,
        LoggingLevel::Critical => 5,
        LoggingLevel::Alert => 6,
        LoggingLevel::Emergency => 7,
    }
}

async fn progress(context: &RequestContext<RoleServer>, done: f64) {
    if let Some(token) = context.meta.get_progress_token() {
        let report = ProgressNotificationParam::new(token, done).with_total(100.0);
        drop(context.peer.notify_progress(report).await);
    }
}

fn pause(request: &CallToolRequestParams) -> Duration {
    let asked = request.arguments.as_ref().and_then(|arguments| arguments.get("pause_ms")?.as_u64());
    asked.map_or(PAUSE, |milliseconds| Duration::from_millis(milliseconds.min(PAUSE_MS_MAX)))
}

/// Listeners of the stateless era hear it on their own stream; a legacy session on its own.
async fn announce(fixture: &Fixture, context: &RequestContext<RoleServer>, change: Change) {
    fixture.shared.announce(change);
    if !is_stateless(context) {
        drop(match change {
            Change::Prompts => context.peer.notify_prompt_list_changed().await,
            Change::Tools => context.peer.notify_tool_list_changed().await,
        });
    }
}
