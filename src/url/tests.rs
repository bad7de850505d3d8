// SPDX-License-Identifier: Apache-2.0
use super::*;
use proptest::prelude::*;

#[test]
fn names_are_literal() {
    for key in [
        "a b",
        "100%",
        "a+b",
        "..",
        "a/../b",
        "//lead",
        "x?y#z",
        "caf\u{e9}",
        "\u{1f980}",
        "a@b:c",
        "",
    ] {
        let text = format!("oci://b@ns/{key}");
        let url: StoreUrl = text.parse().unwrap();
        assert_eq!((url.key(), url.to_string()), (key, text));
    }
}

#[test]
fn services_and_missing_namespaces() {
    let service: StoreUrl = "oci://@ns".parse().unwrap();
    assert_eq!((service.bucket(), service.namespace()), (None, Some("ns")));
    let s3: StoreUrl = "s3://".parse().unwrap();
    assert_eq!((s3.scheme(), s3.bucket(), s3.to_string().as_str()), (Scheme::S3, None, "s3://"));
    let asked: StoreUrl = "oci://bucket/key".parse().unwrap();
    assert_eq!((asked.bucket(), asked.namespace()), (Some("bucket"), None));
    let file: StoreUrl = "file:///data/a b".parse().unwrap();
    assert_eq!((file.key(), file.to_string().as_str()), ("data/a b", "file:///data/a b"));
    assert!("file://host/x".parse::<StoreUrl>().is_err());
}

#[test]
fn a_pre_authenticated_request_is_decoded_and_its_token_is_not_shown() {
    let text =
        "https://objectstorage.us-ashburn-1.oraclecloud.com/p/s3cr%2Bet/n/ns/b/lake/o/a%20b%2Fc+d";
    let url: StoreUrl = text.parse().unwrap();
    assert_eq!((url.bucket(), url.namespace(), url.key()), (Some("lake"), Some("ns"), "a b/c+d"));
    assert_eq!(url.token(), Some("s3cr%2Bet"));
    assert_eq!(url.origin(), Some("https://objectstorage.us-ashburn-1.oraclecloud.com"));
    for shown in [url.to_string(), format!("{url:?}"), format!("{:?}", url.with_key("x"))] {
        assert!(!shown.contains("s3cr"), "{shown}");
    }
    let public: StoreUrl = "http://127.0.0.1:9/n/ns/b/lake/o/".parse().unwrap();
    assert_eq!((public.key(), public.token()), ("", None));
}

#[test]
fn what_is_no_url_says_why() {
    for (text, why) in [
        ("bucket/key", "no store URL"),
        ("ftp://bucket/key", "scheme"),
        ("http://bucket/key", "names no namespace"),
        ("https://h/p/t", "after its token"),
        ("https://h/n/ns/b/b/o/%f", "percent-encoded"),
        ("https://h/n/ns/b/b/o/%+f", "percent-encoded"),
        ("https://user:pw@h/n/ns/b/b/o/k", "user information"),
        ("s3://b@ns/key", "no @namespace"),
        ("oci://b@c@ns/key", "more than one @"),
        ("oci://b@c@/key", "more than one @"),
        ("s3://b@@/key", "more than one @"),
        ("s3:/b/x", "write \"s3://b/x\""),
        ("s3:b/x", "write \"s3://b/x\""),
        ("OCI:/b@ns/x", "write \"oci://b@ns/x\""),
        ("https:/h/n/ns/b/b", "write \"https://h/n/ns/b/b\""),
        ("file:/a/b", "write \"file:///a/b\""),
        ("oci://b@/key", "namespace after @"),
        ("oci:///key", "without a bucket"),
        ("oci://b?x@ns/key", "cannot stand"),
    ] {
        let error = text.parse::<StoreUrl>().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(why), "{text}: {error}");
    }
}

#[test]
fn an_endpoint_with_a_path_stands_before_the_namespace() {
    let text = "https://ref.example/storage/v1/p/s3cret/n/ns/b/lake/o/a%2Fn%2Fb";
    let url: StoreUrl = text.parse().unwrap();
    assert_eq!(url.origin(), Some("https://ref.example/storage/v1"));
    assert_eq!((url.token(), url.key()), (Some("s3cret"), "a/n/b"));
    assert_eq!(url.to_string(), "https://ref.example/storage/v1/p/\u{2026}/n/ns/b/lake/o/a/n/b");
    let public: StoreUrl = "HTTPS://h/x/n/ns/b/lake/o/p/k".parse().unwrap();
    assert_eq!((public.origin(), public.key()), (Some("HTTPS://h/x"), "p/k"));
}

#[test]
fn what_is_secret_in_a_url_is_not_shown() {
    for (text, shown) in [
        ("https://host:443/a/b", "https://host:443/a/b"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("https://user:pa55@host/a?sig=pa55#pa55", "https://\u{2026}@host/a?\u{2026}"),
        ("https://pa55@host", "https://\u{2026}@host"),
        ("https://user:pa55/word@host/x", "https://\u{2026}"),
        ("HTTPS://h/p/pa55/n/ns/b/b/o/k", "HTTPS://h/p/\u{2026}/n/ns/b/b/o/k"),
        ("https://h/x/p/pa55", "https://h/x/p/\u{2026}"),
        ("htps://u:pa55@h/p/pa55/n", "htps://\u{2026}@h/p/\u{2026}/n"),
        ("https:/u:pa55@h/x", "https:/\u{2026}@h/x"),
        ("s3://AKIA:pa55@bucket/k", "s3://\u{2026}@bucket/k"),
        ("s3://AKIA:pa55/word@bucket/k", "s3://\u{2026}"),
        ("u:pa55@proxy:3128", "\u{2026}@proxy:3128"),
        ("oci://b@c@ns/k?x#y", "oci://b@c@ns/k?x#y"),
        ("u:pa55/word@proxy:3128", "\u{2026}"),
        ("https://u:pa55]/x@host", "https://\u{2026}"),
        ("https:///p/pa55/n/ns/b/x/o/k", "https:///p/\u{2026}/n/ns/b/x/o/k"),
        ("https:/p/pa55", "https:/p/\u{2026}"),
        ("https://[::1]:8080/x", "https://[::1]:8080/x"),
        ("some/path:x", "some/path:x"),
        ("a:b", "a:b"),
        ("file:///a@b:c/d", "file:///a@b:c/d"),
        ("", ""),
    ] {
        assert_eq!(redacted(text), shown, "{text}");
        if let Err(error) = text.parse::<StoreUrl>() {
            assert!(!format!("{error} {error:?}").contains("pa55"), "{error}");
        }
    }
}

#[test]
fn encoding_is_that_of_the_python_sdk() {
    let mut out = String::new();
    encode_into(&mut out, "a/b c+%~&'()!*\u{fc}..");
    assert_eq!(out, "a%2Fb%20c%2B%25~%26%27%28%29%21%2A%C3%BC..");
}

proptest! {
    #[test]
    fn a_password_is_never_shown(
        scheme in "(https?|HTTP|ftp|socks5|s3|oci)", user in "[a-z]{0,5}", host in "[a-z.]{1,9}", path in "[/a-z?#]{0,9}"
    ) {
        let text = format!("{scheme}://{user}:pa55w0rd@{host}{path}");
        prop_assert!(!redacted(&text).contains("pa55w0rd"));
    }

    #[test]
    fn parsing_never_panics_and_round_trips(text in "(oci|s3)://[a-z@._-]{0,8}/?\\PC{0,40}") {
        let _ = redacted(&text);
        if let Ok(url) = text.parse::<StoreUrl>() {
            prop_assert_eq!(url.to_string().parse::<StoreUrl>().unwrap(), url);
        }
    }
}
