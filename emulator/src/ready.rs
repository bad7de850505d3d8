// SPDX-License-Identifier: Apache-2.0
//! What clients need to know to reach a running emulator.

use serde::{Deserialize, Serialize};

/// What a client needs to know; as JSON, the line that `storescope serve` prints when ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The native API.
    pub oci: OciReady,
    /// The S3 API; none in a build without the feature `s3`.
    pub s3: Option<S3Ready>,
    /// Base URL of the admin API, on loopback unless [`Builder::admin_address`](crate::Builder::admin_address) says otherwise.
    pub admin: String,
    /// The record's file, JSON lines of [`RecordLine`](crate::RecordLine).
    pub record: String,
}

/// How to reach the native API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OciReady {
    /// Base URL, plain HTTP.
    pub endpoint: String,
    /// Base URL, TLS.
    pub tls_endpoint: String,
    /// PEM file of the CA that signed the TLS listener's certificate.
    pub ca_bundle: String,
    /// The namespace.
    pub namespace: String,
    /// The region, as in the configuration file.
    pub region: String,
    /// OCID of the compartment that holds the buckets made at start.
    pub compartment: String,
    /// An OCI configuration file with profiles DEFAULT (an API key), WRONG (the same ids, another
    /// key), SESSION and EXPIRED (session tokens), DELEGATED (the API key with a delegation token).
    pub config_file: String,
    /// The profile to begin with.
    pub profile: String,
}

/// How to reach the S3 API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Ready {
    /// Base URL, plain HTTP.
    pub endpoint: String,
    /// Base URL, TLS.
    pub tls_endpoint: String,
    /// The region to sign for.
    pub region: String,
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
}
