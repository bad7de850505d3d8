// SPDX-License-Identifier: Apache-2.0
//! The OCI configuration file and what its profiles name.

use std::path::Path;

use super::names::{REGION, TENANCY, USER};
use super::users::User;

/// What the configuration file is made of.
pub(super) struct Profiles<'a> {
    pub(super) folder: &'a Path,
    /// Fingerprint of the API key of DEFAULT.
    pub(super) user: &'a str,
    /// Fingerprint of the session's key.
    pub(super) session: &'a str,
    pub(super) added: &'a [User],
}

impl Profiles<'_> {
    /// The text of the file. Each profile is whole by itself: Oracle's SDK for Go takes nothing
    /// from DEFAULT, those for Python and Java do.
    pub(super) fn text(&self) -> String {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let place = format!("tenancy = {TENANCY}\nregion = {REGION}\n");
        let user = format!("user = {USER}\nfingerprint = {}\n{place}", self.user);
        let api_key = format!("{user}key_file = {}\n", path("key.pem"));
        let session = format!(
            "{place}fingerprint = {}\nkey_file = {}\n",
            self.session,
            path("session_key.pem")
        );
        let own = format!(
            "[DEFAULT]\n{api_key}\n\
             # The same ids, another key: every request is refused.\n\
             [WRONG]\n{user}key_file = {}\n\n\
             [SESSION]\n{session}security_token_file = {}\n\n\
             # A token that ended a minute before the start.\n\
             [EXPIRED]\n{session}security_token_file = {}\n\n\
             # The API key, on behalf of somebody.\n\
             [DELEGATED]\n{api_key}delegation_token_file = {}\n",
            path("wrong_key.pem"),
            path("token"),
            path("expired_token"),
            path("delegation_token"),
        );
        self.added.iter().fold(own, |text, user| {
            let User { profile, tenancy, user, fingerprint, key_file, .. } = user;
            format!(
                "{text}\n[{profile}]\nuser = {user}\nfingerprint = {fingerprint}\n\
                 tenancy = {tenancy}\nregion = {REGION}\nkey_file = {key_file}\n"
            )
        })
    }
}
