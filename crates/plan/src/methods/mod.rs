//! Methods: the groups in each round of an epoch. A group lists the runs of documents that belong
//! together; the arranger does the rest.

use longweave_common::{DocId, Result};

use crate::Method;

mod context;
mod iclm;
mod interleave;
mod knn;
mod long;
mod nextlong;
mod partition;
mod quest;
mod standard;
mod topics;

pub(crate) use context::{Group, Grouping, PlanContext, Run, round_key};

/// The method that the options name. Epochs have documents of `pool` only, whose virtual lengths fit
/// in 31 bits.
pub(crate) fn method<'a>(
    context: PlanContext<'a>,
    pool: &[DocId],
) -> Result<Box<dyn Grouping + 'a>> {
    Ok(match &context.options.method {
        Method::Standard(_) => Box::new(standard::Standard::new(context)),
        Method::Quest(options) => Box::new(quest::Quest::new(context, options, pool)),
        Method::Knn(_) => Box::new(knn::Knn::new(context)),
        Method::Iclm(options) => Box::new(iclm::Iclm::new(context, options)?),
        Method::Long(options) => Box::new(long::Long::new(context, options)),
        Method::Interleave(options) => Box::new(interleave::Interleave::new(context, options)),
        Method::Nextlong(options) => Box::new(nextlong::Nextlong::new(context, options)?),
        Method::Topics(options) => Box::new(topics::Topics::new(context, options, pool)?),
    })
}
