// SPDX-License-Identifier: Apache-2.0
//! Regions: the name, the short code and the realm of each, and the endpoints that follow from them.
//!
//! A region that is not in the table is looked for in `~/.oci/regions-config.json` and in `OCI_REGION_METADATA`, as
//! Oracle's SDKs have them. One that is in neither is taken to be in the realm whose domain is `OCI_DEFAULT_REALM`, else
//! in oc1.

use super::expand_home;
use serde::Deserialize;

/// A region and the second-level domain of its realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) name: String,
    domain: String,
}

/// The regions that are known: those of the table, and those that this machine was told of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Regions {
    told: Vec<RegionInfo>,
    /// The domain of regions that nothing tells of.
    default_domain: Option<String>,
}

/// What tells of a region: the instance metadata service's `regionInfo`, and files and variables of its shape.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegionInfo {
    realm_domain_component: String,
    #[serde(default)]
    region_key: String,
    region_identifier: String,
}

impl Region {
    /// The endpoint of a service, such as `auth` or `objectstorage`.
    pub(crate) fn endpoint(&self, service: &str) -> String {
        format!("https://{service}.{}.{}", self.name, self.domain)
    }

    /// The endpoint of Object Storage that a realm has of its own for each namespace: oc1 alone has one. Where the namespace
    /// is still to be asked for, its part is left out.
    pub(crate) fn own_endpoint(&self, namespace: Option<&str>) -> String {
        if self.domain != COMMERCIAL {
            return self.endpoint("objectstorage");
        }
        let namespace = namespace.map(|namespace| format!("{namespace}.")).unwrap_or_default();
        format!("https://{namespace}objectstorage.{}.oci.customer-oci.com", self.name)
    }
}

impl From<RegionInfo> for Region {
    fn from(info: RegionInfo) -> Region {
        Region {
            name: info.region_identifier.to_ascii_lowercase(),
            domain: info.realm_domain_component.to_ascii_lowercase(),
        }
    }
}

impl Regions {
    /// Those that this process's environment and home folder tell of.
    pub(crate) fn of_process() -> Regions {
        let file = std::fs::read_to_string(expand_home("~/.oci/regions-config.json"));
        Regions::told(file.ok().as_deref(), |name| std::env::var(name).ok())
    }

    /// What does not parse tells of nothing, as in Oracle's SDKs.
    fn told(file: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Regions {
        let parsed = file.and_then(|text| serde_json::from_str::<Vec<RegionInfo>>(text).ok());
        let mut told = parsed.unwrap_or_default();
        let given = variable("OCI_REGION_METADATA");
        told.extend(given.and_then(|text| serde_json::from_str::<RegionInfo>(&text).ok()));
        Regions { told, default_domain: variable("OCI_DEFAULT_REALM").filter(|d| !d.is_empty()) }
    }

    /// The region of this name or short code. The domain of one that nothing tells of is a guess.
    pub(crate) fn find(&self, text: &str) -> Region {
        self.known(text).unwrap_or_else(|| Region {
            name: text.trim().to_ascii_lowercase(),
            domain: self.default_domain.as_deref().unwrap_or(COMMERCIAL).to_owned(),
        })
    }

    /// The region of this name or short code, if anything tells of it.
    pub(crate) fn known(&self, text: &str) -> Option<Region> {
        let text = text.trim();
        let is = |known: &str| known.eq_ignore_ascii_case(text);
        if let Some((_, name, realm)) = REGIONS.iter().find(|(code, name, _)| is(code) || is(name))
        {
            let domain = DOMAINS.iter().find(|(known, _)| known == realm);
            let (_, domain) = domain.expect("each realm of the table has a domain");
            return Some(Region { name: (*name).to_owned(), domain: (*domain).to_owned() });
        }
        let told = self.told.iter();
        told.clone()
            .find(|told| is(&told.region_identifier) || is(&told.region_key))
            .map(|told| told.clone().into())
    }
}

/// The second-level domain of realm oc1.
const COMMERCIAL: &str = "oraclecloud.com";

/// The realms, with the second-level domain of their endpoints.
const DOMAINS: [(&str, &str); 20] = [
    ("oc1", "oraclecloud.com"),
    ("oc2", "oraclegovcloud.com"),
    ("oc3", "oraclegovcloud.com"),
    ("oc4", "oraclegovcloud.uk"),
    ("oc8", "oraclecloud8.com"),
    ("oc9", "oraclecloud9.com"),
    ("oc10", "oraclecloud10.com"),
    ("oc14", "oraclecloud14.com"),
    ("oc15", "oraclecloud15.com"),
    ("oc19", "oraclecloud.eu"),
    ("oc20", "oraclecloud20.com"),
    ("oc21", "oraclecloud21.com"),
    ("oc23", "oraclecloud23.com"),
    ("oc24", "oraclecloud24.com"),
    ("oc26", "oraclecloud26.com"),
    ("oc29", "oraclecloud29.com"),
    ("oc35", "oraclecloud35.com"),
    ("oc42", "oraclecloud42.com"),
    ("oc51", "oraclecloud51.com"),
    ("oc52", "oraclecloud52.com"),
];

/// Short code, name and realm, as Oracle's Python SDK 2.189 lists them.
const REGIONS: [(&str, &str, &str); 85] = [
    ("aga", "us-saltlake-2", "oc1"),
    ("ahu", "me-abudhabi-3", "oc26"),
    ("ams", "eu-amsterdam-1", "oc1"),
    ("arn", "eu-stockholm-1", "oc1"),
    ("auh", "me-abudhabi-1", "oc1"),
    ("avf", "eu-crissier-1", "oc24"),
    ("avz", "eu-dcc-zurich-1", "oc24"),
    ("beg", "eu-jovanovac-1", "oc20"),
    ("bgy", "eu-dcc-milan-1", "oc14"),
    ("bno", "ap-chuncheon-2", "oc35"),
    ("bog", "sa-bogota-1", "oc1"),
    ("bom", "ap-mumbai-1", "oc1"),
    ("brs", "uk-gov-cardiff-1", "oc4"),
    ("cdg", "eu-paris-1", "oc1"),
    ("cwl", "uk-cardiff-1", "oc1"),
    ("dac", "ap-dcc-gazipur-1", "oc15"),
    ("dln", "ap-suwon-1", "oc35"),
    ("doh", "me-dcc-doha-1", "oc21"),
    ("dtm", "eu-dcc-rating-2", "oc14"),
    ("dtz", "ap-seoul-2", "oc35"),
    ("dus", "eu-dcc-rating-1", "oc14"),
    ("dxb", "me-dubai-1", "oc1"),
    ("ebb", "us-somerset-1", "oc23"),
    ("ebl", "us-thames-1", "oc23"),
    ("fra", "eu-frankfurt-1", "oc1"),
    ("gru", "sa-saopaulo-1", "oc1"),
    ("hnw", "sa-riodejaneiro-1", "oc52"),
    ("hsg", "ap-batam-1", "oc1"),
    ("hyd", "ap-hyderabad-1", "oc1"),
    ("iad", "us-ashburn-1", "oc1"),
    ("ibr", "me-ibri-1", "oc9"),
    ("icn", "ap-seoul-1", "oc1"),
    ("jbp", "ap-kulai-2", "oc1"),
    ("jed", "me-jeddah-1", "oc1"),
    ("jnb", "af-johannesburg-1", "oc1"),
    ("jsk", "eu-budapest-1", "oc51"),
    ("kix", "ap-osaka-1", "oc1"),
    ("lej", "af-casablanca-1", "oc1"),
    ("lfi", "us-langley-1", "oc2"),
    ("lhr", "uk-london-1", "oc1"),
    ("lin", "eu-milan-1", "oc1"),
    ("ltn", "uk-gov-london-1", "oc4"),
    ("luf", "us-luke-1", "oc2"),
    ("mad", "eu-madrid-1", "oc1"),
    ("mct", "me-dcc-muscat-1", "oc9"),
    ("mel", "ap-melbourne-1", "oc1"),
    ("mrs", "eu-marseille-1", "oc1"),
    ("mty", "mx-monterrey-1", "oc1"),
    ("mtz", "il-jerusalem-1", "oc1"),
    ("mxp", "eu-dcc-milan-2", "oc14"),
    ("nja", "ap-chiyoda-1", "oc8"),
    ("nrq", "eu-turin-1", "oc1"),
    ("nrt", "ap-tokyo-1", "oc1"),
    ("onm", "ap-delhi-1", "oc1"),
    ("ord", "us-chicago-1", "oc1"),
    ("orf", "eu-madrid-3", "oc1"),
    ("ork", "eu-dcc-dublin-1", "oc14"),
    ("pgc", "us-newark-1", "oc42"),
    ("phx", "us-phoenix-1", "oc1"),
    ("pia", "us-gov-chicago-1", "oc3"),
    ("qro", "mx-queretaro-1", "oc1"),
    ("rba", "me-alain-1", "oc26"),
    ("ric", "us-gov-ashburn-1", "oc3"),
    ("rkt", "me-abudhabi-2", "oc29"),
    ("ruh", "me-riyadh-1", "oc1"),
    ("scl", "sa-santiago-1", "oc1"),
    ("shj", "me-abudhabi-4", "oc29"),
    ("sin", "ap-singapore-1", "oc1"),
    ("sjc", "us-sanjose-1", "oc1"),
    ("snn", "eu-dcc-dublin-2", "oc14"),
    ("str", "eu-frankfurt-2", "oc19"),
    ("syd", "ap-sydney-1", "oc1"),
    ("tus", "us-gov-phoenix-1", "oc3"),
    ("ukb", "ap-ibaraki-1", "oc8"),
    ("vap", "sa-valparaiso-1", "oc1"),
    ("vcp", "sa-vinhedo-1", "oc1"),
    ("vll", "eu-madrid-2", "oc19"),
    ("vve", "me-alrayyan-1", "oc21"),
    ("wga", "ap-dcc-canberra-1", "oc10"),
    ("xsp", "ap-singapore-2", "oc1"),
    ("yny", "ap-chuncheon-1", "oc1"),
    ("yul", "ca-montreal-1", "oc1"),
    ("yxj", "us-ashburn-2", "oc42"),
    ("yyz", "ca-toronto-1", "oc1"),
    ("zrh", "eu-zurich-1", "oc1"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_codes_and_realms() {
        let regions = Regions::default();
        for (text, endpoint) in [
            ("us-ashburn-1", "https://objectstorage.us-ashburn-1.oraclecloud.com"),
            ("FRA", "https://objectstorage.eu-frankfurt-1.oraclecloud.com"),
            ("us-gov-ashburn-1", "https://objectstorage.us-gov-ashburn-1.oraclegovcloud.com"),
            ("ltn", "https://objectstorage.uk-gov-london-1.oraclegovcloud.uk"),
            ("eu-frankfurt-2", "https://objectstorage.eu-frankfurt-2.oraclecloud.eu"),
            ("me-dcc-muscat-1", "https://objectstorage.me-dcc-muscat-1.oraclecloud9.com"),
            ("xx-nowhere-9", "https://objectstorage.xx-nowhere-9.oraclecloud.com"),
        ] {
            assert_eq!(regions.find(text).endpoint("objectstorage"), endpoint);
        }
        assert!(regions.known("xx-nowhere-9").is_none());
        assert_eq!(
            regions.find("iad").endpoint("auth"),
            "https://auth.us-ashburn-1.oraclecloud.com"
        );
    }

    #[test]
    fn regions_that_the_machine_was_told_of() {
        let info = |name: &str, key: &str| {
            format!(
                r#"{{"realmKey":"oc77","realmDomainComponent":"cloud77.example","regionKey":"{key}","regionIdentifier":"{name}"}}"#
            )
        };
        let file = format!("[{}]", info("xx-file-1", "XFI"));
        let regions = Regions::told(Some(&file), |name| match name {
            "OCI_REGION_METADATA" => Some(info("xx-variable-1", "XVA")),
            "OCI_DEFAULT_REALM" => Some("default.example".to_owned()),
            _ => None,
        });
        for (text, endpoint) in [
            ("xfi", "https://auth.xx-file-1.cloud77.example"),
            ("xx-variable-1", "https://auth.xx-variable-1.cloud77.example"),
            ("xx-other-1", "https://auth.xx-other-1.default.example"),
            ("phx", "https://auth.us-phoenix-1.oraclecloud.com"),
        ] {
            assert_eq!(regions.find(text).endpoint("auth"), endpoint);
        }
        assert!(Regions::told(Some("nonsense"), |_| Some("{}".to_owned())).told.is_empty());
    }

    /// The hosts are those of the vectors `host-realm-template` and `host-realm-template-no-ns`.
    #[test]
    fn a_realms_own_endpoint_begins_with_the_namespace() {
        let vectors = std::fs::read("fixtures/oci-signing.json").unwrap();
        let vectors: serde_json::Value = serde_json::from_slice(&vectors).unwrap();
        let regions = Regions::default();
        for (id, namespace) in
            [("host-realm-template", Some("axexamplens")), ("host-realm-template-no-ns", None)]
        {
            let mut of_id = vectors["vectors"].as_array().unwrap().iter();
            let vector = of_id.find(|vector| vector["id"] == id).unwrap();
            let endpoint = regions.find("us-ashburn-1").own_endpoint(namespace);
            assert_eq!(endpoint, format!("https://{}", vector["host"].as_str().unwrap()), "{id}");
        }
        let luke = regions.find("us-luke-1");
        assert_eq!(luke.own_endpoint(Some("ns")), luke.endpoint("objectstorage"));
    }
}
