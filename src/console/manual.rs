//! The manual as pages: its Markdown made into markup here, from texts that are part of the program.

use pulldown_cmark::{Event, Options, Parser, html};

/// The pages in the order of the contents: name and text.
const PAGES: [(&str, &str); 21] = [
    ("policies", include_str!("../manual/policies.md")),
    ("approvals", include_str!("../manual/approvals.md")),
    ("console", include_str!("../manual/console.md")),
    ("sessions", include_str!("../manual/sessions.md")),
    ("drift", include_str!("../manual/drift.md")),
    ("identity", include_str!("../manual/identity.md")),
    ("receipts", include_str!("../manual/receipts.md")),
    ("log_format", include_str!("../manual/log_format.md")),
    ("exporting", include_str!("../manual/exporting.md")),
    ("events", include_str!("../manual/events.md")),
    ("oncall", include_str!("../manual/oncall.md")),
    ("runbook_down", include_str!("../manual/runbook_down.md")),
    ("runbook_log_write", include_str!("../manual/runbook_log_write.md")),
    ("runbook_checkpoint_age", include_str!("../manual/runbook_checkpoint_age.md")),
    ("runbook_cursor_age", include_str!("../manual/runbook_cursor_age.md")),
    ("runbook_parked", include_str!("../manual/runbook_parked.md")),
    ("runbook_dead_letters", include_str!("../manual/runbook_dead_letters.md")),
    ("runbook_reload", include_str!("../manual/runbook_reload.md")),
    ("runbook_disk", include_str!("../manual/runbook_disk.md")),
    ("protocol", include_str!("../manual/protocol.md")),
    ("conformance", include_str!("../manual/conformance.md")),
];

/// One page.
pub(super) struct ManualPage {
    /// Its heading, as markup.
    pub(super) title: String,
    /// Contents and text, as markup.
    pub(super) html: String,
}

/// A page by its name, the contents without one; `None` when there is none of that name.
pub(super) fn page(name: &str) -> Option<ManualPage> {
    let own = PAGES.iter().find(|(own, _)| *own == name);
    let (title, text) = match own {
        Some((_, text)) => (title(text), rendered(text)),
        None if name.is_empty() => {
            let sentence = "<h1>Manual</h1><p>Everything about this program, as of this version. It is part of it.</p>";
            ("Manual".to_owned(), format!("{sentence}<ul>{}</ul>", links(name)))
        }
        None => return None,
    };
    let contents = format!("<nav class=\"contents\" aria-label=\"Manual\"><ul>{}</ul></nav>", links(name));
    Some(ManualPage { title, html: format!("<div class=\"manual\">{contents}<article>{text}</article></div>") })
}

fn links(current: &str) -> String {
    let link = |(name, text): &(&str, &str)| {
        let here = if *name == current { " aria-current=\"page\"" } else { "" };
        format!("<li><a href=\"/manual/{name}\"{here}>{}</a></li>", title(text))
    };
    PAGES.iter().map(link).collect()
}

/// The text of the first heading, escaped.
fn title(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default();
    let mut out = String::new();
    html::push_html(&mut out, std::iter::once(Event::Text(line.into())));
    out
}

/// Markdown to markup. Markup inside the Markdown becomes text: a page is words, tables and links.
fn rendered(text: &str) -> String {
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES);
    let events = parser.map(|event| match event {
        Event::Html(markup) | Event::InlineHtml(markup) => Event::Text(markup),
        event => event,
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    // Wide tables and blocks scroll by themselves, so the keyboard must reach them.
    out.replace("<table>", "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table>")
        .replace("</table>", "</table></div>")
        .replace("<pre>", "<pre tabindex=\"0\">")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_of_the_manual_is_there_and_links_to_the_others() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual");
        let files = std::fs::read_dir(folder).unwrap().filter_map(Result::ok).map(|entry| entry.path());
        for file in files.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let page = page(&name).unwrap_or_else(|| panic!("{name} is not listed"));
            assert!(page.html.contains("<h1>") && page.html.matches("/manual/").count() >= PAGES.len(), "{name}");
        }
        assert!(page("").is_some() && page("nothing").is_none());
    }

    #[test]
    fn markup_in_a_text_is_text() {
        let out = rendered("# A\n\n<script>alert(1)</script>\n\nb <img src=x onerror=alert(1)> `<i>`\n");
        assert!(!out.contains("<script") && !out.contains("<img") && !out.contains("<i>"), "{out}");
    }
}
