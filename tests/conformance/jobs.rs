//! Tools that run as tasks (extension `io.modelcontextprotocol/tasks`).
//!
//! A client that did not declare the extension gets the result itself where that is possible (`slow_compute`), and
//! otherwise the error that names what it lacks.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult,
    ErrorData,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskManager, TaskOptions};
use serde_json::Value;

use crate::content::{argument, text};
use crate::rounds;

const POLL_MS: u64 = 100;
/// The longest computation that can be asked for; longer than any wait of the suite, shorter than a forgotten process.
const COMPUTE_SECONDS_MAX: f64 = 120.0;
/// How long the failing job runs.
const FAIL_AFTER: Duration = Duration::from_secs(1);

/// The response of a tool of this kind, or `None` when the name belongs elsewhere.
pub(crate) async fn call(
    tasks: &TaskManager,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let task = match request.name.as_ref() {
        "slow_compute" if !declared(context) => {
            tokio::time::sleep(compute_time(request)).await;
            return Some(Ok(computed(argument(request, "label")).into()));
        }
        "slow_compute"
        | "failing_job"
        | "protocol_error_job"
        | "confirm_delete"
        | "multi_input"
        | "test_tool_with_task"
            if !declared(context) =>
        {
            let needed = ClientCapabilities::builder().enable_tasks().build();
            return Some(Err(ErrorData::missing_required_client_capability(needed)));
        }
        "slow_compute" => {
            let (time, label) = (compute_time(request), argument(request, "label").to_owned());
            start(tasks, move |task| Box::pin(compute(task, time, label)))
        }
        "failing_job" => start(tasks, |_| {
            Box::pin(async {
                tokio::time::sleep(FAIL_AFTER).await;
                Ok(CallToolResult::error(vec![ContentBlock::text("The job failed")]))
            })
        }),
        "protocol_error_job" => {
            start(tasks, |_| Box::pin(async { Err(TaskExit::Error(ErrorData::internal_error("the job broke", None))) }))
        }
        "confirm_delete" => {
            let name = argument(request, "filename").to_owned();
            start(tasks, move |task| Box::pin(confirm(task, name)))
        }
        "multi_input" => start(tasks, |task| Box::pin(two_questions(task))),
        "test_tool_with_task" => match rounds::accepted(request.input_responses.as_ref(), "user_name", "name") {
            Some(name) => start(tasks, move |_| Box::pin(async move { Ok(text(format!("Done for {name}"))) })),
            None => {
                let question = rounds::form("What is your name?", "name", "string");
                return Some(Ok(rounds::questions([("user_name", question)], None).into()));
            }
        },
        _ => return None,
    };
    Some(Ok(task.into()))
}

fn declared(context: &RequestContext<RoleServer>) -> bool {
    context.client_capabilities().is_some_and(|declared| declared.supports_tasks())
}

fn start(tasks: &TaskManager, work: impl FnOnce(TaskContext) -> TaskFuture) -> CreateTaskResult {
    CreateTaskResult::new(tasks.spawn(TaskOptions::new().with_poll_interval_ms(POLL_MS), work))
}

async fn compute(task: TaskContext, time: Duration, label: String) -> Result<CallToolResult, TaskExit> {
    tokio::select! {
        () = task.cancelled() => Err(TaskExit::Cancelled),
        () = tokio::time::sleep(time) => Ok(computed(&label)),
    }
}

fn compute_time(request: &CallToolRequestParams) -> Duration {
    let asked = request.arguments.as_ref().and_then(|arguments| arguments.get("seconds")?.as_f64());
    Duration::from_secs_f64(asked.unwrap_or_default().clamp(0.0, COMPUTE_SECONDS_MAX))
}

fn computed(label: &str) -> CallToolResult {
    text(format!("Computed {label}"))
}

async fn confirm(task: TaskContext, name: String) -> Result<CallToolResult, TaskExit> {
    let question = rounds::form(&format!("Delete {name}?"), "confirm", "boolean");
    let answer = task.request_input("confirm", question).await?;
    let confirmed = answer.get("content").and_then(|content| content.get("confirm")) == Some(&Value::Bool(true));
    Ok(text(if confirmed { format!("Deleted {name}") } else { format!("Kept {name}") }))
}

async fn two_questions(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let (first, second) = tokio::join!(
        task.request_input("first", rounds::form("First name?", "name", "string")),
        task.request_input("second", rounds::form("Second name?", "name", "string")),
    );
    Ok(text(format!("Received {} and {}", first?, second?)))
}
