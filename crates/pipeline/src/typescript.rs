//! The TypeScript types of results: rendered from the Rust types into `ts/generated`, and compared
//! with what is there. `node scripts/types.mjs` writes the files again.

use std::collections::BTreeMap;
use std::path::Path;

use longweave_common::CATALOGUE;
use longweave_formats::{OutputManifest, VerifyReport};
use ts_rs::{Config, TS, TypeVisitor};

use crate::clean::CleanReport;
use crate::dry_run::DryRun;
use crate::events::Event;
use crate::models::PredictorInfo;
use crate::show::ShownSequence;
use crate::stages::report::RunReport;
use crate::stages::seal::ManifestRun;
use crate::status::RunStatus;
use crate::summary::Summary;
use crate::tasks::{KeywordCount, StageInfo, TaskRecord};

const HEADER: &str = "// Generated from the Rust types by `node scripts/types.mjs`; do not edit.\n";
/// Columns of a line of TypeScript.
const WIDTH: usize = 120;

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
    let laid_out: Vec<String> = types.declarations.values().map(|text| lay_out(text)).collect();
    format!("{HEADER}\n{}", laid_out.join("\n"))
}

fn error_codes() -> String {
    let codes: String = CATALOGUE
        .iter()
        .map(|(code, text)| {
            let line = format!("  {}: {},\n", code.name(), quoted(text));
            if line.trim_end().chars().count() <= WIDTH {
                line
            } else {
                format!("  {}:\n    {},\n", code.name(), quoted(text))
            }
        })
        .collect();
    format!(
        "{HEADER}\n/** Every error code with one sentence on when it is raised. */\n\
         export const errorCodes = {{\n{codes}}} as const\n\n\
         /** The code of an error: a stable name for programs. */\n\
         export type ErrorCode = keyof typeof errorCodes\n"
    )
}

fn quoted(text: &str) -> String {
    let mark = if text.contains('\'') { '"' } else { '\'' };
    assert!(!text.contains(['\\', '\n']) && !text.contains(mark), "{text} needs escapes");
    format!("{mark}{text}{mark}")
}

/// A declaration in the layout of the repository: a member a line, objects as interfaces.
fn lay_out(declaration: &str) -> String {
    let (docs, declaration) = declaration.split_once("*/").expect("every type has docs");
    let declaration = declaration.trim().trim_end_matches(';');
    let (name, body) = declaration.split_once(" = ").expect("a declaration has a name");
    let docs = comment(docs, "\n");
    if body.starts_with('{') && closes_at(body) == body.len() {
        let name = name.replacen("export type", "export interface", 1);
        return format!("{docs}\n{name} {}\n", members(body, 0));
    }
    let choices: Vec<String> = choices(body).iter().map(|choice| members(choice, 2)).collect();
    let line = format!("{name} = {}", choices.join(" | "));
    if line.contains('\n') || line.chars().count() > WIDTH {
        let choices: String = choices.iter().map(|choice| format!("\n  | {choice}")).collect();
        return format!("{docs}\n{name} ={choices}\n");
    }
    format!("{docs}\n{line}\n")
}

/// The place after the bracket that closes the one at the start.
fn closes_at(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '[' | '<' | '(' => depth += 1,
            '}' | ']' | '>' | ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// The choices of a union.
fn choices(mut union: &str) -> Vec<&str> {
    let mut choices = Vec::new();
    let mut from = 0;
    while let Some(at) = union[from..].find(['|', '{', '[', '<', '(']) {
        let at = from + at;
        if union[at..].starts_with('|') {
            choices.push(union[..at].trim());
            (union, from) = (&union[at + 1..], 0);
        } else {
            from = at + closes_at(&union[at..]);
        }
    }
    choices.push(union.trim());
    choices
}

/// A type whose object, where it is one, has a member a line; `depth` spaces further in.
fn members(text: &str, depth: usize) -> String {
    let indent = format!("\n{}", " ".repeat(depth + 2));
    let (mut out, mut rest, mut brackets) = (String::new(), text.trim(), 0);
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '/' if rest.starts_with("/**") => {
                taken = rest.find("*/").expect("a comment ends") + 2;
                out.truncate(out.trim_end().len());
                out = out + &indent + &comment(&rest[..taken - 2], &indent) + &indent;
            }
            '"' => {
                taken = rest[1..].find('"').expect("a string ends") + 2;
                let string = &rest[1..taken - 1];
                // The name of a member, or a string.
                let name = rest[taken..].starts_with(':');
                out += &if name { string.to_owned() } else { quoted(string) };
            }
            'A' if rest.starts_with("Array<") => {
                taken = "Array".len() + closes_at(&rest["Array".len()..]);
                let item = members(&rest["Array<".len()..taken - 1], depth);
                out +=
                    &if item.contains(' ') { format!("({item})[]") } else { format!("{item}[]") };
            }
            '{' => {
                assert!(out.is_empty(), "an object in an object has a type of its own: {text}");
                out = out + "{" + &indent;
            }
            '}' => {
                out.truncate(out.trim_end().len());
                out = out + &indent[..indent.len() - 2] + "}";
            }
            ',' if brackets == 0 => out += &indent,
            c if c.is_whitespace() => {
                if !out.ends_with(char::is_whitespace) {
                    out.push(' ');
                }
            }
            c => {
                brackets += i32::from(matches!(c, '[' | '<')) - i32::from(matches!(c, ']' | '>'));
                out.push(c);
            }
        }
        rest = &rest[taken..];
    }
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// A comment, given without its end; on one line where it has one.
fn comment(text: &str, indent: &str) -> String {
    let lines = text.lines().map(|line| line.trim().trim_start_matches(['/', '*']).trim());
    let lines: Vec<&str> = lines.collect();
    let first = lines.iter().position(|l| !l.is_empty()).expect("a comment says something");
    let last = lines.iter().rposition(|l| !l.is_empty()).expect("a comment says something");
    match &lines[first..=last] {
        [line] => format!("/** {line} */"),
        lines => {
            let lines = lines.iter().map(|l| format!("{indent} * {l}").trim_end().to_owned());
            format!("/**{}{indent} */", lines.collect::<String>())
        }
    }
}

#[test]
fn the_generated_types_are_those_of_rust() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ts/generated");
    for (name, text) in [("results.ts", results()), ("error-codes.ts", error_codes())] {
        let path = folder.join(name);
        if std::env::var_os("LONGWEAVE_UPDATE").is_some_and(|value| value == "1") {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let line = (1..).zip(found.lines().zip(text.lines())).find(|(_, (a, b))| a != b);
        assert!(
            found == text,
            "ts/generated/{name} is not what the Rust types say{}; run `node scripts/types.mjs`",
            line.map_or(String::new(), |(n, (a, b))| format!(
                ", from line {n} on: {a:?}, not {b:?}"
            ))
        );
    }
}
