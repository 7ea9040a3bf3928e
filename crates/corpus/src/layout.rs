//! Arrays of JSON and tar archives as lines: each element, or sample, is one.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use longweave_common::{Code, Error};
use tar::{EntryType, Header, PaxExtensions};

use crate::packing::BUFFER;

/// Most bytes of a member's name in an extension of its header.
const MOST_NAME: u64 = 1 << 16;
/// Most blanks after the brace of an object.
const MOST_BLANKS: usize = 1 << 16;
/// The unit of a tar archive.
const BLOCK: u64 = 512;

/// How rows follow each other in unpacked bytes.
#[derive(Clone, Copy)]
pub(crate) enum Layout<'a> {
    /// One a line.
    Lines,
    /// Elements of one array.
    Array,
    /// Members of a tar archive. Text members are the field of this name.
    Tar { text_field: &'a str },
}

impl Layout<'_> {
    /// The rows, one a line. Errors of the layout are within the errors of reading.
    pub(crate) fn lines(
        self,
        input: Box<dyn BufRead + Send>,
        path: &Path,
    ) -> Box<dyn BufRead + Send> {
        let path = path.to_owned();
        match self {
            Layout::Lines => input,
            Layout::Array => {
                let scanner = Scanner { place: Place::Start, escaped: false };
                let array = Array { input, path, scanner };
                Box::new(BufReader::with_capacity(BUFFER, array))
            }
            Layout::Tar { text_field } => {
                let text_key = serde_json::to_vec(text_field).unwrap_or_default();
                let tar = Tar {
                    input,
                    path,
                    text_key,
                    pending: Pending::default(),
                    sample: None,
                    member: None,
                    ended: false,
                };
                Box::new(BufReader::with_capacity(BUFFER, tar))
            }
        }
    }
}

fn damaged(path: &Path, reason: &str) -> io::Error {
    let file = path.display().to_string();
    let message = format!("{file} is truncated or damaged: {reason}; fetch or write it again");
    io::Error::other(Error::new(Code::InputTruncated, message).with("file", file))
}

/// An array of JSON as lines: commas between elements become line feeds, line feeds within one become
/// spaces, and within a string what no string may hold.
struct Array {
    input: Box<dyn BufRead + Send>,
    path: PathBuf,
    scanner: Scanner,
}

struct Scanner {
    place: Place,
    /// The byte before was a backslash in a string.
    escaped: bool,
}

/// The place of the next byte in the array.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Before the bracket.
    Start,
    /// Before an element.
    Before,
    /// In an element, within `depth` brackets.
    Within { depth: u32, string: bool },
    /// After the closing bracket.
    End,
}

impl Scanner {
    /// The byte in its place among lines, where it has one.
    fn step(&mut self, byte: u8) -> Result<Option<u8>, &'static str> {
        let blank = byte.is_ascii_whitespace();
        let within = |depth, string| Place::Within { depth, string };
        let (place, out) = match (self.place, byte) {
            (Place::Start | Place::Before | Place::End, _) if blank => return Ok(None),
            // A byte order mark.
            (Place::Start, 0xef | 0xbb | 0xbf) => return Ok(None),
            (Place::Start, b'[') => (Place::Before, None),
            (Place::Start, _) => return Err("it does not begin with ["),
            (Place::End, _) => return Err("its array ends before its bytes"),
            (Place::Before, b']') => (Place::End, None),
            (Place::Before, b',') => (Place::Before, None),
            (Place::Before, b'{' | b'[') => (within(1, false), Some(byte)),
            (Place::Before, _) => (within(0, byte == b'"'), Some(byte)),
            (Place::Within { depth, string: true }, _) => {
                let ends = byte == b'"' && !self.escaped;
                self.escaped = byte == b'\\' && !self.escaped;
                (within(depth, !ends), Some(if byte == b'\n' { 0x0b } else { byte }))
            }
            (Place::Within { depth, .. }, b'"') => (within(depth, true), Some(byte)),
            (Place::Within { depth, .. }, b'{' | b'[') => {
                (within(depth.saturating_add(1), false), Some(byte))
            }
            (Place::Within { depth: 0, .. }, b',') => (Place::Before, Some(b'\n')),
            (Place::Within { depth: 0, .. }, b']') => (Place::End, Some(b'\n')),
            (Place::Within { depth, .. }, b'}' | b']') => {
                (within(depth.saturating_sub(1), false), Some(byte))
            }
            (Place::Within { .. }, b'\n') => (self.place, Some(b' ')),
            (Place::Within { .. }, _) => (self.place, Some(byte)),
        };
        self.place = place;
        Ok(out)
    }
}

impl Read for Array {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written == 0 && !buffer.is_empty() {
            let available = self.input.fill_buf()?;
            if available.is_empty() {
                return match self.scanner.place {
                    Place::End => Ok(0),
                    _ => Err(damaged(&self.path, "its array does not end")),
                };
            }
            let taken = available.len().min(buffer.len());
            for &byte in &available[..taken] {
                match self.scanner.step(byte) {
                    Ok(None) => {}
                    Ok(Some(byte)) => {
                        buffer[written] = byte;
                        written += 1;
                    }
                    Err(reason) => return Err(damaged(&self.path, reason)),
                }
            }
            self.input.consume(taken);
        }
        Ok(written)
    }
}

/// The members of a tar archive as lines. Members whose names are equal up to the first dot are one
/// sample, as WebDataset has them, and one object: the fields of its `.json`, its `.txt` or `.md` as
/// text, and `__key__`. Each line of a `.jsonl` member is a row. Other members are passed over.
struct Tar {
    input: Box<dyn BufRead + Send>,
    path: PathBuf,
    /// The name of the text's field, as JSON.
    text_key: Vec<u8>,
    pending: Pending,
    /// The key of the sample whose object is open.
    sample: Option<Vec<u8>>,
    member: Option<Member>,
    ended: bool,
}

/// Bytes that are to be passed on.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Of these, those that were.
    taken: usize,
}

/// The member that is being read.
struct Member {
    /// Bytes left of it, and after it up to a whole block.
    left: u64,
    padding: u64,
    content: Content,
}

/// The use of a member's bytes.
enum Content {
    /// An object, whose outer braces are left out.
    Object(Object),
    /// A string.
    Text,
    /// Lines; whether the last byte ended one.
    Lines { ended: bool },
    /// Nothing that is read.
    Other,
}

/// The state of an object whose braces are left out.
#[derive(Default)]
struct Object {
    begun: bool,
    any: bool,
    /// A brace that may be the last, and the blanks after it.
    held: Vec<u8>,
}

impl Object {
    /// Adds a part of the object to an open one.
    fn add(&mut self, part: &[u8], out: &mut Vec<u8>) {
        for &byte in part {
            let blank = byte.is_ascii_whitespace();
            let byte = if byte == b'\n' || byte == b'\r' { b' ' } else { byte };
            if !self.begun {
                match byte {
                    _ if blank => continue,
                    b'{' => {}
                    _ => {
                        out.extend_from_slice(b",\"json\":");
                        out.push(byte);
                        self.any = true;
                    }
                }
                self.begun = true;
                continue;
            }
            if blank && (!self.any || !self.held.is_empty()) {
                if !self.held.is_empty() {
                    self.held.push(b' ');
                }
                if self.held.len() > MOST_BLANKS {
                    out.append(&mut self.held);
                }
                continue;
            }
            if !self.any && byte != b'}' {
                out.push(b',');
                self.any = true;
            }
            out.append(&mut self.held);
            if byte == b'}' {
                self.held.push(byte);
            } else {
                out.push(byte);
            }
        }
    }
}

/// Adds text to an open string.
fn escape(part: &[u8], out: &mut Vec<u8>) {
    for &byte in part {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}

impl Tar {
    fn damaged(&self, reason: &str) -> io::Error {
        damaged(&self.path, reason)
    }

    /// Reads a header or data, no more than `most` bytes of it.
    fn read_data(&mut self, size: u64, most: u64) -> io::Result<Vec<u8>> {
        let mut data = Vec::new();
        (&mut self.input).take(size.min(most)).read_to_end(&mut data)?;
        if data.len() as u64 != size.min(most) {
            return Err(self.damaged("its last member does not end"));
        }
        Ok(data)
    }

    fn skip(&mut self, mut bytes: u64) -> io::Result<()> {
        while bytes > 0 {
            let available = self.input.fill_buf()?.len() as u64;
            if available == 0 {
                return Err(self.damaged("its last member does not end"));
            }
            let taken = available.min(bytes);
            self.input.consume(taken as usize);
            bytes -= taken;
        }
        Ok(())
    }

    /// Begins the next member, or ends the archive.
    fn next_member(&mut self) -> io::Result<()> {
        let (mut long_name, mut long_size) = (None, None);
        loop {
            if self.input.fill_buf()?.is_empty() {
                return self.end();
            }
            let block = self.read_data(BLOCK, BLOCK)?;
            if block.iter().all(|&byte| byte == 0) {
                return self.end();
            }
            let header = Header::from_byte_slice(&block);
            let sum = block
                .iter()
                .enumerate()
                .map(|(i, &byte)| if (148..156).contains(&i) { 32 } else { u32::from(byte) });
            if header.cksum().ok() != Some(sum.sum()) {
                return Err(self.damaged("the header of a member is not one"));
            }
            let stored = header.entry_size().map_err(|_| self.damaged("a member has no size"))?;
            let (kind, name) = (header.entry_type(), header.path_bytes().into_owned());
            let size = long_size.take().filter(|_| kind.is_file()).unwrap_or(stored);
            let padding = (BLOCK - size % BLOCK) % BLOCK;
            if kind == EntryType::GNULongName || kind.is_pax_local_extensions() {
                let data = self.read_data(size, MOST_NAME)?;
                self.skip(size - data.len() as u64 + padding)?;
                if kind == EntryType::GNULongName {
                    long_name = Some(data.split(|&b| b == 0).next().unwrap_or_default().to_vec());
                } else {
                    for extension in PaxExtensions::new(&data).flatten() {
                        match extension.key_bytes() {
                            b"path" => long_name = Some(extension.value_bytes().to_vec()),
                            b"size" => {
                                long_size =
                                    extension.value().ok().and_then(|size| size.parse().ok());
                            }
                            _ => {}
                        }
                    }
                }
                continue;
            }
            if kind.is_file() {
                let name = long_name.take().unwrap_or(name);
                let content = self.begin(&name);
                self.member = Some(Member { left: size, padding, content });
                return Ok(());
            }
            long_name = None;
            self.skip(size.saturating_add(padding))?;
        }
    }

    /// Begins a member by its name, and its sample where it is the first of one.
    fn begin(&mut self, name: &[u8]) -> Content {
        let name = name.strip_prefix(b"./").unwrap_or(name);
        let base = name.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
        let dot = name[base..].iter().position(|&byte| byte == b'.');
        let Some(dot) = dot.filter(|&dot| dot > 0) else { return Content::Other };
        let (key, ending) = (&name[..base + dot], name[base + dot + 1..].to_ascii_lowercase());
        let content = match ending.as_slice() {
            b"json" => Content::Object(Object::default()),
            b"txt" | b"md" => Content::Text,
            b"jsonl" | b"ndjson" => Content::Lines { ended: true },
            _ => return Content::Other,
        };
        let lines = matches!(content, Content::Lines { .. });
        if lines || self.sample.as_deref() != Some(key) {
            self.close_sample();
            if !lines {
                self.sample = Some(key.to_vec());
                let key = serde_json::to_vec(&String::from_utf8_lossy(key)).unwrap_or_default();
                self.pending.bytes.extend_from_slice(b"{\"__key__\":");
                self.pending.bytes.extend(key);
            }
        }
        if matches!(content, Content::Text) {
            self.pending.bytes.push(b',');
            self.pending.bytes.extend_from_slice(&self.text_key);
            self.pending.bytes.extend_from_slice(b":\"");
        }
        content
    }

    fn close_sample(&mut self) {
        if self.sample.take().is_some() {
            self.pending.bytes.extend_from_slice(b"}\n");
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.close_sample();
        self.ended = true;
        Ok(())
    }

    /// Passes on a part of the open member.
    fn read_member(&mut self, mut member: Member) -> io::Result<()> {
        let available = self.input.fill_buf()?;
        if available.is_empty() && member.left > 0 {
            return Err(self.damaged("its last member does not end"));
        }
        let taken = (available.len() as u64).min(member.left) as usize;
        let (part, out) = (&available[..taken], &mut self.pending.bytes);
        match &mut member.content {
            Content::Object(object) => object.add(part, out),
            Content::Text => escape(part, out),
            Content::Lines { ended } => {
                out.extend_from_slice(part);
                *ended = part.last().map_or(*ended, |&byte| byte == b'\n');
            }
            Content::Other => {}
        }
        self.input.consume(taken);
        member.left -= taken as u64;
        if member.left > 0 {
            self.member = Some(member);
            return Ok(());
        }
        match member.content {
            Content::Text => self.pending.bytes.push(b'"'),
            Content::Lines { ended: false } => self.pending.bytes.push(b'\n'),
            _ => {}
        }
        self.skip(member.padding)
    }
}

impl Read for Tar {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Pending { bytes, taken } = &mut self.pending;
            if *taken < bytes.len() {
                let n = (bytes.len() - *taken).min(buffer.len());
                buffer[..n].copy_from_slice(&bytes[*taken..*taken + n]);
                *taken += n;
                return Ok(n);
            }
            bytes.clear();
            *taken = 0;
            match self.member.take() {
                Some(member) => self.read_member(member)?,
                None if self.ended => return Ok(0),
                None => self.next_member()?,
            }
        }
    }
}
