//! Prompts: plain, with arguments, with a resource, with an image, and one that needs input first.

use rmcp::model::{
    ContentBlock, ErrorData, GetPromptRequestParams, GetPromptResponse, GetPromptResult, Prompt, PromptArgument,
    PromptMessage, ResourceContents, Role,
};

use crate::content::PNG;
use crate::rounds;

/// Every prompt, in a fixed order.
pub(crate) fn list() -> Vec<Prompt> {
    let required = |name: &str, what: &str| PromptArgument::new(name).with_description(what).with_required(true);
    vec![
        Prompt::new("test_simple_prompt", Some("One text message"), None),
        Prompt::new(
            "test_prompt_with_arguments",
            Some("One text message with both arguments in it"),
            Some(vec![required("arg1", "First test argument"), required("arg2", "Second test argument")]),
        ),
        Prompt::new(
            "test_prompt_with_embedded_resource",
            Some("A resource and a text"),
            Some(vec![required("resourceUri", "URI of the resource to embed")]),
        ),
        Prompt::new("test_prompt_with_image", Some("An image and a text"), None),
        Prompt::new("test_input_required_result_prompt", Some("Asks for its context first"), None),
    ]
}

/// # Errors
/// An unknown name is invalid parameters.
pub(crate) fn get(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument =
        |name: &str| request.arguments.as_ref().and_then(|all| all.get(name)?.as_str()).unwrap_or_default().to_owned();
    let blocks = match request.name.as_str() {
        "test_simple_prompt" => vec![ContentBlock::text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (first, second) = (argument("arg1"), argument("arg2"));
            vec![ContentBlock::text(format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        "test_prompt_with_embedded_resource" => vec![
            ContentBlock::resource(
                ResourceContents::text("Embedded resource content for testing.", argument("resourceUri"))
                    .with_mime_type("text/plain"),
            ),
            ContentBlock::text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image" => {
            vec![ContentBlock::image(PNG, "image/png"), ContentBlock::text("Please analyze the image above.")]
        }
        "test_input_required_result_prompt" => {
            let responses = request.input_responses.as_ref();
            let Some(context) = rounds::accepted(responses, "user_context", "context") else {
                let question = rounds::form("What context should the prompt use?", "context", "string");
                return Ok(rounds::questions([("user_context", question)], None).into());
            };
            vec![ContentBlock::text(format!("Use this context: {context}"))]
        }
        unknown => return Err(ErrorData::invalid_params(format!("unknown prompt `{unknown}`"), None)),
    };
    let messages = blocks.into_iter().map(|block| PromptMessage::new(Role::User, block)).collect();
    Ok(GetPromptResult::new(messages).into())
}
