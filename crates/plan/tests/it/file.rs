//! Plans on disk: what is written is read back, whole and in parts; damage and other versions are
//! refused by name.

use std::fs;
use std::path::{Path, PathBuf};

use longweave_common::{Code, DocId, GroupId};
use longweave_plan::{Fill, NamedGroups, Part, Piece, Plan, PlanFile, Rule, plan, write_plan};
use proptest::prelude::*;

use crate::golden::{golden_lens, golden_plan, quest};
use crate::world::{ctx, options, worlds};

proptest! {
    // Each case makes files durable, which costs more than planning: fewer cases than the laws
    // have, and at most a handful of shards.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_plan_reads_back_from_its_folder_whole_and_in_parts(
        world in worlds(), options in options(), shards in 1u64..5, parts in prop::collection::vec((any::<u64>(), 0u64..9), 6)
    ) {
        let Ok(plan) = plan(&ctx(1), &world.input(&options.method), &options, Part::Main) else { return Ok(()) };
        let directory = tempfile::tempdir().unwrap();
        write_plan(directory.path(), &plan, &world.lens, plan.stats.sequences.div_ceil(shards)).unwrap();
        let file = PlanFile::open(directory.path()).unwrap();
        let all = file.read(0, file.sequences()).unwrap();
        prop_assert_eq!(&all.sequences, &plan.sequences.copy(0..plan.sequences.len()));
        prop_assert_eq!(&*all.groups, &NamedGroups::of(&plan.groups, plan.sequences.pieces()));
        prop_assert_eq!((file.stats(), file.shape()), (&plan.stats, plan.shape));
        for (at, n) in parts {
            let first = at % file.sequences();
            let n = n.min(file.sequences() - first);
            let part = file.read(first, n).unwrap();
            prop_assert_eq!(part.sequences.len() as u64, n);
            let pieces = part.sequences.pieces();
            let lens: Vec<u32> = pieces.iter().map(|p| world.lens[p.doc.index()]).collect();
            prop_assert_eq!(&part.lens, &lens);
            for piece in pieces {
                prop_assert_eq!(part.groups.get(piece.group), Some(plan.groups.get(piece.group)));
            }
            for i in 0..n as usize {
                let (found, expected) = (part.sequences.get(i), plan.sequences.get(first as usize + i));
                prop_assert_eq!(found, expected);
                prop_assert_eq!(found.number, first + i as u64);
            }
            prop_assert_eq!(file.read(first, file.sequences() - first + 1).unwrap_err().code(), Code::SequenceNotFound);
        }
    }
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plan-6")
}

fn golden() -> Plan {
    golden_plan(quest(), Fill::Related)
}

/// `LONGWEAVE_BLESS=1` writes the files of a new format; those of an old one stay as they are.
#[test]
fn a_plan_file_of_format_6_is_read_and_written_byte_by_byte() {
    let directory = tempfile::tempdir().unwrap();
    let (plan, lens) = (golden(), golden_lens());
    let written = write_plan(directory.path(), &plan, &lens, 40).unwrap();
    if std::env::var_os("LONGWEAVE_BLESS").is_some() {
        write_plan(&fixture(), &plan, &lens, 40).unwrap();
    }
    for file in &written {
        let (new, old) = (
            fs::read(directory.path().join(&file.name)).unwrap(),
            fs::read(fixture().join(&file.name)).unwrap(),
        );
        assert!(new == old, "{} differs from format 6", file.name);
    }
    let read = PlanFile::open(&fixture()).unwrap();
    assert_eq!(read.sequences(), plan.stats.sequences);
    let first = read.read(0, 1).unwrap().sequences;
    let expected = Piece { doc: DocId::new(118), start: 29, len: 23, group: GroupId::new(7) };
    assert_eq!((first.get(0).rule, first.get(0).pieces[0]), (Rule::Group, expected));
}

#[test]
fn damage_is_refused_by_name() {
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage, Code); 7] = [
        ("plan.json", |b| b.truncate(10), Code::FileCorrupt),
        (
            "plan.json",
            |b| {
                *b = String::from_utf8_lossy(b)
                    .replace("\"format\": 6", "\"format\": 1")
                    .into_bytes()
            },
            Code::VersionMismatch,
        ),
        ("00000.groups", |b| b[40] ^= 1, Code::FileCorrupt),
        ("00000.sequences", |b| b[33] ^= 1, Code::FileCorrupt),
        ("00000.pieces", |b| b[40] ^= 1, Code::FileCorrupt),
        ("00000.pieces", |b| b.truncate(100), Code::FileCorrupt),
        ("00001.sequences", |b| b.truncate(0), Code::FileCorrupt),
    ];
    let directory = tempfile::tempdir().unwrap();
    let (plan, lens) = (golden(), golden_lens());
    write_plan(directory.path(), &plan, &lens, 40).unwrap();
    for (name, damage, code) in cases {
        let path = directory.path().join(name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        damage(&mut bad);
        assert_ne!(bad, good);
        fs::write(&path, bad).unwrap();
        let error = PlanFile::open(directory.path())
            .and_then(|f| f.read(0, f.sequences()))
            .err()
            .unwrap_or_else(|| panic!("{name} is taken"));
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(error.message().contains(name), "{error}");
        fs::write(&path, good).unwrap();
    }
}
