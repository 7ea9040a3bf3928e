//! The frames of an LZ4 file. lz4_flex 0.14 ends with the first frame, and takes the end of the bytes
//! for the end of a frame, so that rows would be lost in silence: here all frames are read, and one
//! that does not end is an error.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

/// Magic numbers.
const FRAME: u32 = 0x184d_2204;
const LEGACY: u32 = 0x184c_2102;

/// The unpacked bytes of all frames.
pub(crate) struct Lz4<R: BufRead> {
    decoder: FrameDecoder<Frames<R>>,
}

impl<R: BufRead> Lz4<R> {
    pub(crate) fn new(packed: R) -> Lz4<R> {
        let frames = Frames {
            inner: packed,
            passed: 0,
            state: State::Magic,
            skip: 0,
            field: Vec::with_capacity(4),
        };
        Lz4 { decoder: FrameDecoder::new(frames) }
    }
}

impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let before = self.decoder.get_ref().passed;
            let n = self.decoder.read(buffer)?;
            let frames = self.decoder.get_mut();
            if n > 0 || buffer.is_empty() || frames.inner.fill_buf()?.is_empty() {
                return Ok(n);
            }
            if frames.passed == before {
                return Err(io::Error::other("an LZ4 frame that cannot be read"));
            }
        }
    }
}

/// Passes on the bytes of frames, and fails where they end within one.
struct Frames<R> {
    inner: R,
    /// Bytes passed on so far.
    passed: u64,
    state: State,
    /// Bytes to pass on before the next state is known.
    skip: u64,
    /// The number that is being read.
    field: Vec<u8>,
}

/// The meaning of the next bytes, after those to skip.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// A frame's magic number, or the end.
    Magic,
    /// The flags of a frame, and the size of its blocks.
    Flags,
    /// The size of a block.
    Block { flags: u8 },
    /// The size of a block of an old frame, another magic number, or the end.
    LegacyBlock,
}

impl<R: Read> Frames<R> {
    /// Follows the frames through bytes that are passed on.
    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len() as u64);
            bytes = &bytes[skipped as usize..];
            self.skip -= skipped;
            let wanted = if self.state == State::Flags { 2 } else { 4 };
            let taken = (wanted - self.field.len()).min(bytes.len());
            self.field.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.field.len() == wanted {
                self.step()?;
                self.field.clear();
            }
        }
        Ok(())
    }

    fn step(&mut self) -> io::Result<()> {
        let mut number = [0; 4];
        number[..self.field.len()].copy_from_slice(&self.field);
        let number = u32::from_le_bytes(number);
        (self.state, self.skip) = match self.state {
            State::Magic | State::LegacyBlock if number == FRAME => (State::Flags, 0),
            State::Magic | State::LegacyBlock if number == LEGACY => (State::LegacyBlock, 0),
            State::Magic => return Err(io::Error::other("an LZ4 frame with an unknown number")),
            State::LegacyBlock => (State::LegacyBlock, number.into()),
            State::Flags => {
                let flags = number as u8;
                let size = if flags & 8 != 0 { 8 } else { 0 };
                let dictionary = if flags & 1 != 0 { 4 } else { 0 };
                (State::Block { flags }, size + dictionary + 1)
            }
            State::Block { flags } if number == 0 => {
                (State::Magic, if flags & 4 != 0 { 4 } else { 0 })
            }
            State::Block { flags } => {
                let checksum = if flags & 16 != 0 { 4 } else { 0 };
                (State::Block { flags }, u64::from(number & 0x7fff_ffff) + checksum)
            }
        };
        Ok(())
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let whole = self.skip == 0
            && self.field.is_empty()
            && matches!(self.state, State::Magic | State::LegacyBlock);
        if n == 0 && !buffer.is_empty() && !whole {
            // Not `UnexpectedEof`, which lz4_flex takes for the end of a frame.
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its last frame does not end"));
        }
        self.passed += n as u64;
        self.follow(&buffer[..n])?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    use super::*;

    #[test]
    fn every_end_within_a_frame_is_an_error() {
        let text: Vec<u8> =
            (0..300_000u32).flat_map(|i| (i.wrapping_mul(i) % 251).to_le_bytes()).collect();
        let base = FrameInfo::new().block_size(BlockSize::Max64KB);
        for info in [
            base.clone(),
            base.clone().content_checksum(true).block_checksums(true),
            base.clone().block_mode(BlockMode::Linked).content_size(Some(text.len() as u64)),
            FrameInfo::new().legacy_frame(true),
        ] {
            // An old frame ends with its file.
            let parts = if info.legacy_frame { 1 } else { 2 };
            let mut packed = Vec::new();
            for part in text.chunks(text.len().div_ceil(parts)) {
                let mut info = info.clone();
                if info.content_size.is_some() {
                    info = info.content_size(Some(part.len() as u64));
                }
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(part).unwrap();
                packed.extend(encoder.finish().unwrap());
            }
            let read = |bytes: &[u8]| {
                let mut out = Vec::new();
                Lz4::new(bytes).read_to_end(&mut out).map(|_| out)
            };
            assert!(read(&packed).unwrap() == text, "all frames are read");
            let mut ends = 0;
            for end in (1..packed.len()).step_by(37).chain(packed.len() - 12..packed.len()) {
                match read(&packed[..end]) {
                    Err(_) => {}
                    // Old frames have no end: a whole block may be the last.
                    Ok(out) => {
                        assert!(text.starts_with(&out));
                        ends += 1;
                    }
                }
            }
            assert!(ends <= 1, "{ends} ends within a frame were not noticed");
        }
    }
}
