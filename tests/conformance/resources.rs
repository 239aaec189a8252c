//! Resources: a text, an image, a template and one that can be watched.

use rmcp::model::{ErrorData, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::json;

use crate::content::PNG;

const TEMPLATE: &str = "test://template/{id}/data";

/// The direct resources.
pub(crate) fn list() -> Vec<Resource> {
    [
        ("test://static-text", "Static text", "text/plain"),
        ("test://static-binary", "Static image", "image/png"),
        ("test://watched-resource", "Watched resource", "text/plain"),
    ]
    .map(|(uri, name, mime_type)| Resource::new(uri, name).with_description(name).with_mime_type(mime_type))
    .to_vec()
}

/// The one template.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(TEMPLATE, "Templated data")
            .with_description("Data of the id in the URI")
            .with_mime_type("application/json"),
    ]
}

/// # Errors
/// An unknown URI is an error that names it, never an empty list of contents (SEP-2164).
pub(crate) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let contents = match uri {
        "test://static-text" => {
            ResourceContents::text("This is the content of the static text resource.", uri).with_mime_type("text/plain")
        }
        "test://static-binary" => ResourceContents::blob(PNG, uri).with_mime_type("image/png"),
        "test://watched-resource" => {
            ResourceContents::text("This resource can be watched.", uri).with_mime_type("text/plain")
        }
        _ => {
            let Some(id) = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data")) else {
                return Err(ErrorData::resource_not_found("resource not found", Some(json!({ "uri": uri }))));
            };
            let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            ResourceContents::text(data.to_string(), uri).with_mime_type("application/json")
        }
    };
    Ok(ReadResourceResult::new(vec![contents]))
}
