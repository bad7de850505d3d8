// SPDX-License-Identifier: Apache-2.0
//! From a region to its endpoint.

/// Short codes that configuration files use, with the region they mean.
const CODES: [(&str, &str); 44] = [
    ("ams", "eu-amsterdam-1"),
    ("arn", "eu-stockholm-1"),
    ("auh", "me-abudhabi-1"),
    ("bog", "sa-bogota-1"),
    ("bom", "ap-mumbai-1"),
    ("cdg", "eu-paris-1"),
    ("cwl", "uk-cardiff-1"),
    ("dxb", "me-dubai-1"),
    ("fra", "eu-frankfurt-1"),
    ("gru", "sa-saopaulo-1"),
    ("hyd", "ap-hyderabad-1"),
    ("iad", "us-ashburn-1"),
    ("icn", "ap-seoul-1"),
    ("jed", "me-jeddah-1"),
    ("jnb", "af-johannesburg-1"),
    ("kix", "ap-osaka-1"),
    ("lfi", "us-langley-1"),
    ("lhr", "uk-london-1"),
    ("lin", "eu-milan-1"),
    ("ltn", "uk-gov-london-1"),
    ("luf", "us-luke-1"),
    ("mad", "eu-madrid-1"),
    ("mel", "ap-melbourne-1"),
    ("mrs", "eu-marseille-1"),
    ("mtz", "il-jerusalem-1"),
    ("mty", "mx-monterrey-1"),
    ("nrt", "ap-tokyo-1"),
    ("ord", "us-chicago-1"),
    ("phx", "us-phoenix-1"),
    ("pia", "us-gov-phoenix-1"),
    ("qro", "mx-queretaro-1"),
    ("ric", "us-gov-ashburn-1"),
    ("ruh", "me-riyadh-1"),
    ("scl", "sa-santiago-1"),
    ("sin", "ap-singapore-1"),
    ("sjc", "us-sanjose-1"),
    ("syd", "ap-sydney-1"),
    ("tus", "us-gov-chicago-1"),
    ("vap", "sa-valparaiso-1"),
    ("vcp", "sa-vinhedo-1"),
    ("xsp", "ap-singapore-2"),
    ("yny", "ap-chuncheon-1"),
    ("yul", "ca-montreal-1"),
    ("yyz", "ca-toronto-1"),
];

/// Regions of other realms than oc1, whose names tell it.
const DOMAINS: [(&str, &str); 6] = [
    ("us-langley-1", "oraclegovcloud.com"),
    ("us-luke-1", "oraclegovcloud.com"),
    ("us-gov-", "oraclegovcloud.com"),
    ("uk-gov-", "oraclegovcloud.uk"),
    ("ap-chiyoda-", "oraclecloud8.com"),
    ("ap-ibaraki-", "oraclecloud8.com"),
];

/// The name of a region that is given by its name or its short code.
pub(super) fn region(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    let named = CODES.iter().find(|(code, _)| *code == text);
    named.map_or(text, |(_, name)| (*name).to_owned())
}

/// The second-level domain of regions that belong to no other realm.
const COMMERCIAL: &str = "oraclecloud.com";

/// The endpoint of Object Storage in a region. A region nobody knows is taken to be in oc1.
pub(super) fn endpoint(region: &str) -> String {
    format!("https://objectstorage.{region}.{}", domain(region))
}

/// The endpoint that a realm has of its own for each namespace: oc1 alone has one. Where the namespace is still to be
/// asked for, its part is left out.
pub(super) fn own_endpoint(region: &str, namespace: Option<&str>) -> String {
    if domain(region) != COMMERCIAL {
        return endpoint(region);
    }
    let namespace = namespace.map(|namespace| format!("{namespace}.")).unwrap_or_default();
    format!("https://{namespace}objectstorage.{region}.oci.customer-oci.com")
}

fn domain(region: &str) -> &'static str {
    DOMAINS.iter().find(|(start, _)| region.starts_with(start)).map_or(COMMERCIAL, |(_, d)| d)
}

#[cfg(test)]
mod tests {
    use super::{endpoint, own_endpoint, region};

    #[test]
    fn regions_codes_and_realms() {
        assert_eq!(endpoint("us-ashburn-1"), "https://objectstorage.us-ashburn-1.oraclecloud.com");
        assert_eq!(
            endpoint(&region("FRA")),
            "https://objectstorage.eu-frankfurt-1.oraclecloud.com"
        );
        assert_eq!(
            endpoint("us-gov-ashburn-1"),
            "https://objectstorage.us-gov-ashburn-1.oraclegovcloud.com"
        );
        assert_eq!(
            endpoint("uk-gov-london-1"),
            "https://objectstorage.uk-gov-london-1.oraclegovcloud.uk"
        );
        assert_eq!(endpoint("xx-nowhere-9"), "https://objectstorage.xx-nowhere-9.oraclecloud.com");
    }

    /// The hosts are those of the vectors `host-realm-template` and `host-realm-template-no-ns`.
    #[test]
    fn a_realms_own_endpoint_begins_with_the_namespace() {
        let vectors = std::fs::read("fixtures/oci-signing.json").unwrap();
        let vectors: serde_json::Value = serde_json::from_slice(&vectors).unwrap();
        for (id, namespace) in
            [("host-realm-template", Some("axexamplens")), ("host-realm-template-no-ns", None)]
        {
            let mut of_id = vectors["vectors"].as_array().unwrap().iter();
            let vector = of_id.find(|vector| vector["id"] == id).unwrap();
            let endpoint = own_endpoint("us-ashburn-1", namespace);
            assert_eq!(endpoint, format!("https://{}", vector["host"].as_str().unwrap()), "{id}");
        }
        assert_eq!(own_endpoint("us-luke-1", Some("ns")), endpoint("us-luke-1"));
    }
}
