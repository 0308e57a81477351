use super::answer::{Asked, Reply};

pub(super) fn answer(_asked: &Asked<'_>) -> Reply {
    Reply::with_status(404, "{}".into())
}
