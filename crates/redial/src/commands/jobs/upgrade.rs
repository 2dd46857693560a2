//! `redial upgrade`: another program in a server's place.

use super::{Failure, block_on, connect};
use crate::settings::Way;

/// Does it; the result is our exit code.
pub(crate) fn upgrade(way: &Way) -> u8 {
    block_on(async {
        let client = connect(way).await?;
        let upgraded = client.upgrade().await;
        upgraded.map_err(|error| Failure::Query(way.target.clone(), error))?;
        client.close().await;
        Ok(0)
    })
}
