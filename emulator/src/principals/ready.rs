// SPDX-License-Identifier: Apache-2.0
//! What clients need to know to be each principal: the variables that Oracle's SDKs read.

use std::collections::BTreeMap;

use super::resource::PARENT_PATH;
use crate::folder::StateFolder;
use crate::identity::{INSTANCE, Identity, PARENTS, REGION, RESOURCE, TENANCY};
use crate::ready::{DomainReady, IdentityReady};

/// How to reach the endpoints of principals.
pub(crate) fn ready(
    identity: &Identity,
    state: &StateFolder,
    (endpoint, tls_endpoint): (String, String),
) -> IdentityReady {
    let file = |name: &str| identity.file(name).display().to_string();
    IdentityReady {
        environment: environment(identity, state, &endpoint, &tls_endpoint),
        tenancy: TENANCY.to_owned(),
        instance: INSTANCE.to_owned(),
        resource: RESOURCE.to_owned(),
        domain: DomainReady {
            client_id: identity.domain.client_id.clone(),
            client_secret: identity.domain.client_secret.clone(),
            subject_token_file: file("subject_token"),
        },
        service_account_token_file: file("service_account_token"),
        endpoint,
        tls_endpoint,
    }
}

type Variables = BTreeMap<String, String>;

fn environment(
    identity: &Identity,
    state: &StateFolder,
    endpoint: &str,
    tls_endpoint: &str,
) -> BTreeMap<String, Variables> {
    let file = |name: &str| identity.file(name).display().to_string();
    let key = file("resource_key.pem");
    let instance = variables([
        ("OCI_METADATA_BASE_URL", format!("{endpoint}/opc/v2")),
        ("OCI_SDK_AUTH_CLIENT_REGION_URL", endpoint.to_owned()),
        ("OCI_CLI_FEDERATION_ENDPOINT", format!("{endpoint}/v1/x509")),
    ]);
    let resource = |version: &str, more: &[(&str, String)]| {
        let named = |name: &str| format!("OCI_RESOURCE_PRINCIPAL_{name}");
        let mut all = variables([(named("VERSION"), version.to_owned())]);
        all.extend(more.iter().map(|(name, value)| (named(name), value.clone())));
        all
    };
    let [region, rpt, rpst] = [
        ("REGION", REGION.to_owned()),
        ("RPT_ENDPOINT", endpoint.to_owned()),
        ("RPST_ENDPOINT", endpoint.to_owned()),
    ];
    let pem = ("PRIVATE_PEM", key);
    let id = ("RESOURCE_ID", RESOURCE.to_owned());
    let tenancy = ("TENANCY_ID", TENANCY.to_owned());
    let context = ("SECURITY_CONTEXT", "emulator".to_owned());
    let of_key = [rpt.clone(), rpst.clone(), id, pem.clone(), region.clone(), tenancy, context];
    let mut by_instance = resource("1.1", &[rpt, rpst, ("RPT_ID", INSTANCE.to_owned())]);
    by_instance.extend(instance.clone());
    let authority = tls_endpoint.trim_start_matches("https://");
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let workload = variables([
        ("KUBERNETES_SERVICE_HOST", host.to_owned()),
        ("OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH", state.ca_file().display().to_string()),
        ("OCI_RESOURCE_PRINCIPAL_REGION", REGION.to_owned()),
    ]);
    let all = [
        ("instance", instance),
        ("resource_1.1", by_instance),
        // Version 2.1 names no tenancy, and 2.1.2 alone a context: Python's SDK asks for one.
        ("resource_2.1", resource("2.1", &of_key[..5])),
        ("resource_2.1.1", resource("2.1.1", &of_key[..6])),
        ("resource_2.1.2", resource("2.1.2", &of_key)),
        ("resource_2.2", resource("2.2", &[("RPST", file("rpst")), pem.clone(), region])),
        ("resource_3.0", resource("3.0", &nested(endpoint, file("rpst"), pem.1))),
        ("workload", workload),
    ];
    all.into_iter().map(|(name, variables)| (name.to_owned(), variables)).collect()
}

/// A resource of version 2.2 in another.
fn nested(endpoint: &str, token: String, key: String) -> [(&'static str, String); 6] {
    [
        ("VERSION_FOR_LEAF_RESOURCE", "2.2".to_owned()),
        ("RPST_FOR_LEAF_RESOURCE", token),
        ("PRIVATE_PEM_FOR_LEAF_RESOURCE", key),
        ("REGION_FOR_LEAF_RESOURCE", REGION.to_owned()),
        ("RPT_URL_FOR_PARENT_RESOURCE", format!("{endpoint}{PARENT_PATH}{}", PARENTS[0])),
        ("RPST_ENDPOINT_FOR_PARENT_RESOURCE", endpoint.to_owned()),
    ]
}

fn variables<const N: usize, S: Into<String>>(pairs: [(S, String); N]) -> Variables {
    pairs.into_iter().map(|(name, value)| (name.into(), value)).collect()
}
