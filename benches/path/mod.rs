//! The bench. One file a concern; nothing here is imported by the product.
//!
//! `arguments` what was asked · `lab` the server and the paths to it · `upstream`, `minimal` the roles this program is
//! started in · `nginx`, `subject` the programs under comparison · `wire`, `connection`, `load` the client · `rounds`,
//! `starts`, `growth`, `micro`, `render`, `drain` what is measured · `targets`, `report` what is printed · `machine`, `disk`, `histogram`,
//! `timing` how.

mod arguments;
mod check;
mod child;
mod connection;
mod disk;
mod drain;
mod growth;
mod histogram;
mod journal;
mod lab;
mod load;
mod machine;
mod micro;
mod minimal;
mod nginx;
mod render;
mod report;
mod rounds;
mod scene;
mod seams;
mod starts;
mod subject;
mod targets;
mod timing;
mod upstream;
mod wire;

use arguments::{Arguments, Section, USAGE};
use serde_json::json;

/// What stops a bench: anything that a person has to read.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Shorthand for results of the bench.
pub(crate) type Fallible<T> = Result<T, Failure>;

/// Does what `words`, the command line without the program's name, ask for.
///
/// # Errors
/// What could not be done. A path that cannot be measured is no error: the report says why.
pub(crate) fn run(words: Vec<String>) -> Fallible<()> {
    if let [flag, role, rest @ ..] = words.as_slice()
        && flag == "--role"
    {
        return match role.as_str() {
            "minimal" => minimal::serve(rest),
            "upstream" => upstream::serve(),
            other => Err(format!("`{other}` is no role").into()),
        };
    }
    child::raise_open_files();
    if !words.iter().any(|word| word == "--bench" || word == "--help" || word == "-h") {
        return check::run();
    }
    let arguments = Arguments::read(&words)?;
    if arguments.help {
        println!("{USAGE}");
        return Ok(());
    }
    let mut written = serde_json::Map::new();
    let growth = if arguments.sections.contains(&Section::Growth) {
        let growth = growth::run(&arguments)?;
        report::print_growth(&growth);
        growth
    } else {
        growth::Growth::left_out(if arguments.quick { "left out by --quick" } else { "not asked for" })
    };
    let micro = if arguments.sections.contains(&Section::Micro) { micro::run()? } else { Vec::new() };
    if arguments.sections.contains(&Section::Path) {
        let run = rounds::run(&arguments)?;
        report::print_points(&run);
        let rows = targets::rows(&run, &growth, &micro);
        report::print_targets(&rows);
        written.insert("path".into(), report::run_json(&run));
        written.insert("targets".into(), report::targets_json(&rows));
    }
    if arguments.sections.contains(&Section::Export) {
        let lines = lab::Lab::set_up(arguments.era).and_then(|lab| drain::run(&lab.directory))?;
        report::print_drain(&lines);
    }
    if !micro.is_empty() {
        report::print_micro(&micro);
        written.insert("micro".into(), report::micro_json(&micro));
    }
    written.insert("growth".into(), growth.to_json());
    written.insert("machine".into(), json!(machine::describe()));
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_vec_pretty(&written)?)
            .map_err(|error| format!("write `{}`: {error}", file.display()))?;
    }
    Ok(())
}
