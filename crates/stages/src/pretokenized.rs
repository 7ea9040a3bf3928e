//! Documents that come as token ids: the ids that a run keeps of a row, or why it refuses them.

use longweave_run::RunContext;

/// The ids of a document: those of the row without separators at their end, because packing adds one.
pub(crate) fn without_separators<'a>(separator: &[u32], mut ids: &'a [u32]) -> &'a [u32] {
    while let Some(rest) = ids.strip_suffix(separator)
        && rest.len() < ids.len()
    {
        ids = rest;
    }
    ids
}

/// Why ids cannot be those of the run's tokenizer.
pub(crate) fn refusal(run: &RunContext, ids: &[u32]) -> Option<String> {
    let greatest = run.file.tokenizer.max_id;
    let id = ids.iter().find(|&&id| id > greatest)?;
    Some(format!(
        "token id {id} is not in the vocabulary of the tokenizer, whose greatest is {greatest}"
    ))
}

#[cfg(test)]
mod tests {
    use super::without_separators;

    #[test]
    fn whole_separators_at_the_end_are_left_out() {
        for (separator, ids, kept) in [
            (&[9][..], &[1, 9, 2, 9, 9][..], &[1, 9, 2][..]),
            (&[9], &[9, 9], &[]),
            (&[9], &[], &[]),
            (&[], &[1, 9], &[1, 9]),
            (&[8, 9], &[1, 9, 8, 9, 8, 9], &[1, 9]),
            (&[8, 9], &[8], &[8]),
        ] {
            assert_eq!(without_separators(separator, ids), kept, "{separator:?} {ids:?}");
        }
    }
}
