//! The TypeScript types of results: rendered from the Rust types into `ts/generated`, and compared
//! with what is there. `node scripts/types.mjs` writes the files again.

use std::collections::BTreeMap;
use std::path::Path;

use longweave_common::CATALOGUE;
use longweave_driver::clean::CleanReport;
use longweave_driver::status::RunStatus;
use longweave_driver::{DryRun, Event};
use longweave_formats::{OutputManifest, VerifyReport};
use longweave_keywords::StopList;
use longweave_run::StoppedDriver;
use longweave_stages::STAGES;
use longweave_stages::report::RunReport;
use longweave_stages::seal::ManifestRun;
use longweave_stages::summary::Summary;
use ts_rs::{Config, TS, TypeVisitor};

use crate::models::PredictorInfo;
use crate::show::ShownSequence;
use crate::tasks::{KeywordCount, StageInfo, TaskRecord};

const HEADER: &str = "// Generated from the Rust types by `node scripts/types.mjs`; do not edit.\n";

/// `longweave.json` of an output directory: what the output holds, and the run that made it.
#[derive(TS)]
#[allow(dead_code)] // rendered, never built
struct Manifest {
    #[ts(flatten)]
    output: OutputManifest,
    #[ts(flatten)]
    run: ManifestRun,
}

/// Collects the declarations of types and of all types that they mention, by name.
struct Collector<'a> {
    config: &'a Config,
    declarations: BTreeMap<String, String>,
}

impl Collector<'_> {
    fn add<T: TS + 'static + ?Sized>(&mut self) {
        let name = T::ident(self.config);
        if self.declarations.contains_key(&name) {
            return;
        }
        let docs = T::docs().unwrap_or_else(|| panic!("{name} has no doc comment"));
        let text = format!("{docs}export {}", T::decl(self.config));
        self.declarations.insert(name, text);
        T::visit_dependencies(self);
    }
}

impl TypeVisitor for Collector<'_> {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Types without a file of their own are parts of TypeScript, or written where they are
        // used.
        if T::output_path().is_some() {
            let name = T::ident(self.config);
            let known = self.declarations.get(&name).cloned();
            self.add::<T>();
            let docs = T::docs().unwrap_or_default();
            let same = known.is_none_or(|k| k == format!("{docs}export {}", T::decl(self.config)));
            assert!(same, "two types are called {name}");
        }
    }
}

fn results() -> String {
    // JSON has one kind of number.
    let config = Config::new().with_large_int("number");
    let mut types = Collector { config: &config, declarations: BTreeMap::new() };
    types.add::<Event>();
    types.add::<Summary>();
    types.add::<RunStatus>();
    types.add::<StoppedDriver>();
    types.add::<DryRun>();
    types.add::<CleanReport>();
    types.add::<VerifyReport>();
    types.add::<ShownSequence>();
    types.add::<StageInfo>();
    types.add::<TaskRecord>();
    types.add::<KeywordCount>();
    types.add::<PredictorInfo>();
    types.add::<Manifest>();
    types.add::<RunReport>();
    let declarations: Vec<String> =
        types.declarations.values().map(|text| declaration(text)).collect();
    format!("{HEADER}import type {{ Stage }} from './stages.ts'\n\n{}", declarations.join("\n"))
}

fn stages() -> String {
    let stages: String = STAGES
        .iter()
        .map(|stage| {
            let unit = serde_json::to_value(stage.unit).expect("a unit is a name");
            let unit = quoted(unit.as_str().expect("a unit is a name"));
            format!("  {}: {{ title: {}, unit: {unit} }},\n", stage.name, quoted(stage.title))
        })
        .collect();
    format!(
        "{HEADER}\n/** Title and unit of progress of each stage, in the order in which stages run. */\n\
         export const stages = {{\n{stages}}} as const\n\n\
         /** A stage of a run. A run has those that its options need. */\n\
         export type Stage = keyof typeof stages\n"
    )
}

fn error_codes() -> String {
    let codes: String = CATALOGUE
        .iter()
        .map(|(code, text)| format!("  {}: {},\n", code.name(), quoted(text)))
        .collect();
    format!(
        "{HEADER}\n/** Every error code with one sentence on when it is raised. */\n\
         export const errorCodes = {{\n{codes}}} as const\n\n\
         /** The code of an error: a stable name for programs. */\n\
         export type ErrorCode = keyof typeof errorCodes\n"
    )
}

fn stop_lists() -> String {
    let lists: String =
        StopList::names().split(", ").map(|name| format!("{}, ", quoted(name))).collect();
    format!(
        "{HEADER}\n/** The built-in stop lists: two of English, and those of languages by code. */\n\
         const stopLists: ReadonlySet<string> = new Set([{lists}])\n\n\
         /** Whether stop words are a built-in list, not a file. */\n\
         export const isStopList = (name: string): boolean => stopLists.has(name)\n"
    )
}

fn quoted(text: &str) -> String {
    let mark = if text.contains('\'') { '"' } else { '\'' };
    assert!(!text.contains(['\\', '\n']) && !text.contains(mark), "{text} needs escapes");
    format!("{mark}{text}{mark}")
}

/// A declaration as TypeScript; objects are interfaces.
fn declaration(text: &str) -> String {
    let (docs, body) = text.split_once("*/").expect("every type has docs");
    let union = ["} | {", "} & {", "} & "].iter().any(|joined| body.contains(joined));
    let body = match body.split_once(" = {") {
        Some((name, object)) if !union && body.ends_with("};") => {
            format!("{} {{{object}", name.replacen("export type", "export interface", 1))
        }
        _ => body.to_owned(),
    };
    let mut parts = body.split("Array<");
    let mut text = format!("{docs}*/{}", parts.next().expect("a body"));
    for part in parts {
        let (item, after) = part.split_once('>').expect("an array's type ends");
        let item = if item.contains(' ') { format!("({item})") } else { item.to_owned() };
        text += &format!("{item}[]{after}");
    }
    text + "\n"
}

/// A file without its layout, which Prettier decides.
fn content(text: &str) -> String {
    let text: String =
        text.chars().filter(|c| !c.is_whitespace() && !";,\"'*/".contains(*c)).collect();
    text.replace("=|", "=")
}

#[test]
fn the_generated_types_are_those_of_rust() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ts/generated");
    for (name, text) in [
        ("results.ts", results()),
        ("stages.ts", stages()),
        ("error-codes.ts", error_codes()),
        ("stop-lists.ts", stop_lists()),
    ] {
        let path = folder.join(name);
        if std::env::var_os("LONGWEAVE_UPDATE").is_some_and(|value| value == "1") {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            content(&found) == content(&text),
            "ts/generated/{name} is not what the Rust types say; run `node scripts/types.mjs`"
        );
    }
}
