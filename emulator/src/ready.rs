// SPDX-License-Identifier: Apache-2.0
//! What clients need to know to reach a running emulator.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a client needs to know; as JSON, the line that `storescope serve` prints when ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The native API.
    pub oci: OciReady,
    /// The S3 API; none in a build without the feature `s3`.
    pub s3: Option<S3Ready>,
    /// The endpoints by which principals get their tokens.
    pub identity: IdentityReady,
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
    /// A session token that the key may be used with: then it is one of a role.
    pub session_token: String,
}

/// How to be a principal that gets its token from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityReady {
    /// Base URL, plain HTTP: instance metadata (`/opc/v2`), the identity service, an identity
    /// domain.
    pub endpoint: String,
    /// Base URL, TLS: the same without instance metadata, and the proxy of a cluster's nodes.
    pub tls_endpoint: String,
    /// OCID of the tenancy of all principals.
    pub tenancy: String,
    /// OCID of the instance.
    pub instance: String,
    /// OCID of the resource.
    pub resource: String,
    /// The identity domain's client.
    pub domain: DomainReady,
    /// The file of the pod's service account token.
    pub service_account_token_file: String,
    /// The environment variables that make a client of Oracle's SDKs a principal, by its name:
    /// `instance`, `resource_1.1`, `resource_2.1`, `resource_2.1.1`, `resource_2.1.2`,
    /// `resource_2.2`, `resource_3.0`, `workload`.
    pub environment: BTreeMap<String, BTreeMap<String, String>>,
}

/// Who may exchange a token at the identity domain, whose URL is that of the endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainReady {
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// The file of a token to exchange.
    pub subject_token_file: String,
}
