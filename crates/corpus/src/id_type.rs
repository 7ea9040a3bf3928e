//! The types of ids in token files.

/// How an id is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IdType {
    U8,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
}

impl IdType {
    /// The type of a code of Megatron.
    pub(crate) fn of_code(code: u8) -> Option<IdType> {
        Some(match code {
            1 => IdType::U8,
            2 => IdType::I8,
            3 => IdType::I16,
            4 => IdType::I32,
            5 => IdType::I64,
            8 => IdType::U16,
            _ => return None,
        })
    }

    pub(crate) fn bytes(self) -> u64 {
        match self {
            IdType::U8 | IdType::I8 => 1,
            IdType::I16 | IdType::U16 => 2,
            IdType::I32 | IdType::U32 => 4,
            IdType::I64 => 8,
        }
    }

    /// Appends ids; the first number that is not one.
    pub(crate) fn append(self, bytes: &[u8], out: &mut Vec<u32>) -> Result<(), i64> {
        for id in bytes.chunks_exact(self.bytes() as usize) {
            let mut wide = [0; 8];
            wide[..id.len()].copy_from_slice(id);
            let value = i64::from_le_bytes(wide);
            let value = match self {
                IdType::I8 => i64::from(value as i8),
                IdType::I16 => i64::from(value as i16),
                IdType::I32 => i64::from(value as i32),
                IdType::U8 | IdType::U16 | IdType::U32 | IdType::I64 => value,
            };
            out.push(u32::try_from(value).map_err(|_| value)?);
        }
        Ok(())
    }
}
