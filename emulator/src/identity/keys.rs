// SPDX-License-Identifier: Apache-2.0
//! The keys that an emulator begins with.

use std::sync::LazyLock;

use storescope_sign::{KeyError, PrivateKey};

use crate::error::StartError;

pub(super) struct Keys {
    pub(super) user: PrivateKey,
    pub(super) wrong: PrivateKey,
    pub(super) session: PrivateKey,
    pub(super) issuer: PrivateKey,
    pub(super) resource: PrivateKey,
}

impl Keys {
    /// The API key is this emulator's own. The others are made once a process: a key takes a tenth
    /// of a second of a core, and tests start an emulator each.
    pub(super) fn generate() -> Result<Keys, StartError> {
        static SHARED: LazyLock<Result<[PrivateKey; 4], KeyError>> = LazyLock::new(|| {
            let (first, second) = std::thread::scope(|scope| {
                let first = scope.spawn(pair);
                (first.join().expect("generating a key does not panic"), pair())
            });
            let ([wrong, session], [issuer, resource]) = (first?, second?);
            Ok([wrong, session, issuer, resource])
        });
        std::thread::scope(|scope| {
            let shared = scope.spawn(|| LazyLock::force(&SHARED));
            let user = PrivateKey::generate(2048).map_err(StartError::identity)?;
            let shared = shared.join().expect("generating a key does not panic");
            let [wrong, session, issuer, resource] =
                shared.clone().map_err(StartError::identity)?;
            Ok(Keys { user, wrong, session, issuer, resource })
        })
    }
}

fn pair() -> Result<[PrivateKey; 2], KeyError> {
    Ok([PrivateKey::generate(2048)?, PrivateKey::generate(2048)?])
}
