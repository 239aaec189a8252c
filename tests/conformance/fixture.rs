//! The server itself: which request goes to which part of the fixture.
//!
//! State that must outlive one request (tasks, the key that seals request state, change notifications) is `Shared`,
//! because in the stateless era every request gets a handler of its own. State of a legacy session lives in `Fixture`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult, CompletionInfo,
    ErrorData, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, Implementation,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, RequestStateCodec,
    ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
    UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use rmcp::task_manager::TaskManager;
use tokio::sync::broadcast;

use crate::{ask, catalogue, content, jobs, prompts, resources, rounds, stream};

/// Change notifications that a listener may lag behind before the oldest is lost. The suite triggers one at a time.
const CHANGES_MAX: usize = 16;

/// What listeners can be told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Prompts,
    Tools,
}

/// State of the whole process.
pub(crate) struct Shared {
    /// Tasks by id: any request may ask for any of them.
    pub(crate) tasks: TaskManager,
    /// Seals what a client carries between two rounds, with a key that lives as long as the process.
    pub(crate) codec: RequestStateCodec,
    changes: broadcast::Sender<Change>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let mut key = [0_u8; 32];
        getrandom::fill(&mut key).unwrap();
        Self {
            tasks: TaskManager::new(),
            codec: RequestStateCodec::new(key.to_vec()),
            changes: broadcast::channel(CHANGES_MAX).0,
        }
    }

    /// Tells every open listener that one of the lists changed. Without a listener it is lost, which is its meaning.
    pub(crate) fn announce(&self, change: Change) {
        drop(self.changes.send(change));
    }
}

/// One legacy session, or one request of the stateless era.
pub(crate) struct Fixture {
    pub(crate) shared: Arc<Shared>,
    pub(crate) log_level: Mutex<LoggingLevel>,
    subscriptions: Mutex<HashSet<String>>,
    /// Subscribed when the handler is made, which is before the client can see that it is listening: no change between
    /// the acknowledgement and the first wait is lost.
    changes: Mutex<Option<broadcast::Receiver<Change>>>,
}

impl Fixture {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let changes = Mutex::new(Some(shared.changes.subscribe()));
        Self { shared, log_level: Mutex::new(LoggingLevel::Debug), subscriptions: Mutex::default(), changes }
    }
}

/// True when the request was made under 2026-07-28 or later, where a server may not send requests of its own.
pub(crate) fn is_stateless(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_logging()
            .enable_completions()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_resources_list_changed()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("countersign-conformance-server", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(catalogue::tools()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        catalogue::tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(result) = content::call(&request.name, &request) {
            return Ok(result.into());
        }
        if let Some(response) = rounds::call(&self.shared.codec, &request, &context) {
            return response;
        }
        if let Some(response) = jobs::call(&self.shared.tasks, &request, &context).await {
            return response;
        }
        if let Some(response) = ask::call(&request, &context).await {
            return response;
        }
        stream::call(self, &request, &context)
            .await
            .unwrap_or_else(|| Err(ErrorData::invalid_params(format!("unknown tool `{}`", request.name), None)))
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::list()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&request)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let candidates = ["paris", "park", "party", "test"];
        let values =
            candidates.iter().filter(|word| word.starts_with(&request.argument.value)).map(ToString::to_string);
        Ok(CompleteResult::new(CompletionInfo::with_all_values(values.collect()).unwrap()))
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::list()))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&request.uri).map(Into::into)
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscriptions.lock().unwrap().insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscriptions.lock().unwrap().remove(&request.uri);
        Ok(())
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if is_stateless(&context) {
            return Err(ErrorData::method_not_found::<rmcp::model::SetLevelRequestMethod>());
        }
        *self.log_level.lock().unwrap() = request.level;
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let changes = self.changes.lock().unwrap().take();
        let Some(mut changes) = changes else {
            return Err(ErrorData::internal_error("this handler already listens", None));
        };
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            let sent = match change {
                Ok(Change::Prompts) if context.accepted().prompts_list_changed == Some(true) => {
                    context.sink().notify_prompt_list_changed().await
                }
                Ok(Change::Tools) if context.accepted().tools_list_changed == Some(true) => {
                    context.sink().notify_tool_list_changed().await
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => Ok(()),
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            };
            if sent.is_err() {
                return Ok(());
            }
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.shared.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }
}
