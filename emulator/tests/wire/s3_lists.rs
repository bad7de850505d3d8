// SPDX-License-Identifier: Apache-2.0
//! Lists of the S3 API as S3 makes them: buckets, objects, versions, and names that XML has not.

use storescope_emulator::Emulator;

use crate::client::Client;
use crate::s3::{Answer, S3, start};

/// The texts of all elements of a name.
fn all(answer: &Answer, name: &str) -> Vec<String> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let parts = answer.text().split(start.as_str()).skip(1);
    parts.map(|rest| rest.split(end.as_str()).next().unwrap().to_owned()).collect()
}

fn put_all(s3: &S3, names: &[&str]) {
    for name in names {
        assert_eq!(s3.put(&format!("/demo/{name}"), &[], b"x").status, 200, "{name}");
    }
}

/// Code, name and value of the argument that is refused.
fn refused(s3: &S3, path: &str) -> (String, Option<String>, Option<String>) {
    let answer = s3.get(path);
    assert_eq!(answer.code(), (400, "InvalidArgument".to_owned()), "{path}");
    let text = |name| answer.element(name).map(str::to_owned);
    (text("Message").unwrap(), text("ArgumentName"), text("ArgumentValue"))
}

#[test]
fn arguments_of_lists_that_are_none_are_refused_by_name() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    let integer = "must be an integer between 0 and 2147483647";
    for (query, message, name, value) in [
        ("max-keys=-1", &*format!("Argument maxKeys {integer}"), "maxKeys", Some("-1")),
        (
            "max-keys=some",
            "Provided max-keys not an integer or within integer range",
            "max-keys",
            Some("some"),
        ),
        (
            "max-keys=99999999999",
            "Provided max-keys not an integer or within integer range",
            "max-keys",
            Some("99999999999"),
        ),
        (
            "uploads=&max-uploads=-1",
            &format!("Argument max-uploads {integer}"),
            "max-uploads",
            Some("-1"),
        ),
        (
            "encoding-type=xml",
            "Invalid Encoding Method specified in Request",
            "encoding-type",
            Some("xml"),
        ),
        (
            "encoding-type=",
            "Invalid Encoding Method specified in Request",
            "encoding-type",
            Some(""),
        ),
        ("list-type=3", "Invalid List Type specified in Request", "list-type", Some("3")),
        (
            "continuation-token=&list-type=2",
            "The continuation token provided is incorrect",
            "continuation-token",
            None,
        ),
        (
            "continuation-token=%21&list-type=2",
            "The continuation token provided is incorrect",
            "continuation-token",
            None,
        ),
        (
            "prefix=%00",
            "Value must be a sequence of Unicode characters and cannot include Null.",
            "prefix",
            None,
        ),
        (
            "version-id-marker=null&versions=",
            "A version-id marker cannot be specified without a key marker.",
            "version-id-marker",
            Some("null"),
        ),
        (
            "key-marker=a&version-id-marker=&versions=",
            "A version-id marker cannot be empty.",
            "version-id-marker",
            Some(""),
        ),
    ] {
        let told = refused(&s3, &format!("/demo?{query}"));
        assert_eq!(
            told,
            (message.to_owned(), Some(name.to_owned()), value.map(str::to_owned)),
            "{query}"
        );
    }
    let no_such = s3.get("/demo/x?max-parts=-1&uploadId=u");
    assert_eq!(
        no_such.element("ArgumentName"),
        Some("max-parts"),
        "before the upload is looked for"
    );
}

#[test]
fn a_list_has_a_thousand_names_at_most_and_may_have_none() {
    let (_emulator, s3, mut client) = start(Emulator::builder());
    for number in 0..1001 {
        client.put(&format!("{number:04}"), b"");
    }
    for list in ["", "&list-type=2", "&versions="] {
        for (asked, told) in [(0, 0), (1, 1), (1000, 1000), (1001, 1000), (2_147_483_647, 1000)] {
            let query = format!("max-keys={asked}{list}");
            let answer = s3.get(&format!("/demo?{query}"));
            assert_eq!(all(&answer, "Key").len(), told, "{query}");
            assert_eq!(answer.element("MaxKeys"), Some(&*told.to_string()), "{query}");
            let truncated = (told > 0).to_string();
            assert_eq!(answer.element("IsTruncated"), Some(&*truncated), "{query}");
        }
    }
    assert_eq!(s3.get("/none?max-keys=0").code(), (404, "NoSuchBucket".to_owned()));
}

#[test]
fn owners_and_empty_arguments_are_told_as_s3_does() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    s3.put("/demo/a/b", &[("x-amz-checksum-crc32c", "mnG7TA==")], b"hello");
    let one = s3.get("/demo?delimiter=&prefix=");
    assert_eq!(all(&one, "Key"), ["a/b"]);
    assert_eq!((one.element("Prefix"), one.element("Marker")), (Some(""), Some("")));
    assert_eq!((one.element("Delimiter"), one.element("EncodingType")), (None, None));
    assert!(one.element("Owner").is_some(), "always in the first version");
    assert_eq!(one.header("x-amz-bucket-region"), Some("us-ashburn-1"));
    let contents = |answer: &Answer| {
        ["ChecksumAlgorithm", "ChecksumType"].map(|name| answer.element(name).map(str::to_owned))
    };
    let told = ["CRC32C", "FULL_OBJECT"].map(|text| Some(text.to_owned()));
    for (query, owner) in [
        ("list-type=2", false),
        ("fetch-owner=false&list-type=2", false),
        ("fetch-owner=true&list-type=2", true),
        ("delimiter=&fetch-owner=true&list-type=2&prefix=&start-after=", true),
    ] {
        let two = s3.get(&format!("/demo?{query}"));
        assert_eq!(all(&two, "Key"), ["a/b"], "{query}");
        assert_eq!(two.element("Owner").is_some(), owner, "{query}");
        assert_eq!(two.element("Prefix"), Some(""), "{query}");
        assert_eq!(
            (two.element("Delimiter"), two.element("KeyCount")),
            (None, Some("1")),
            "{query}"
        );
        assert_eq!(contents(&two), told, "{query}");
    }
    let after = s3.get("/demo?list-type=2&start-after=");
    assert_eq!(after.element("StartAfter"), Some(""));
    assert_eq!(contents(&one), told);
}

#[test]
fn pages_begin_after_their_marker_and_only_a_delimiter_has_one() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    put_all(&s3, &["f/a/1", "f/a/2", "f/x", "f/y", "g"]);
    let page = s3.get("/demo?max-keys=2");
    assert_eq!(all(&page, "Key"), ["f/a/1", "f/a/2"]);
    assert_eq!((page.element("IsTruncated"), page.element("NextMarker")), (Some("true"), None));
    let page = s3.get("/demo?delimiter=%2F&max-keys=1&prefix=f%2F");
    assert_eq!(page.element("NextMarker"), Some("f/a/"));
    // A marker within what is rolled up: the rest of that is told already.
    for marker in ["f%2Fa%2F", "f%2Fa%2F1"] {
        for (list, name) in [("", "marker"), ("&versions=", "key-marker")] {
            let mut query = [
                "delimiter=%2F".to_owned(),
                "max-keys=1".to_owned(),
                "prefix=f%2F".to_owned(),
                format!("{name}={marker}"),
            ];
            query.sort();
            let page = s3.get(&format!("/demo?{}{list}", query.join("&")));
            assert_eq!(
                (all(&page, "Key"), all(&page, "CommonPrefixes").len()),
                (vec!["f/x".to_owned()], 0)
            );
        }
    }
    let page = s3.get("/demo?delimiter=%2F&list-type=2&prefix=f%2F&start-after=f%2Fa%2F1");
    assert_eq!((all(&page, "Key").len(), all(&page, "CommonPrefixes").len()), (2, 0));
    // A token is more than a name to begin after, which is then not told.
    let first = s3.get("/demo?list-type=2&max-keys=1&start-after=f%2Fa%2F1");
    assert_eq!(
        (all(&first, "Key"), first.element("StartAfter")),
        (vec!["f/a/2".to_owned()], Some("f/a/1"))
    );
    let token = first.element("NextContinuationToken").unwrap();
    let query = format!("continuation-token={token}&list-type=2&start-after=g");
    let second = s3.get(&format!("/demo?{query}"));
    assert_eq!(all(&second, "Key"), ["f/x", "f/y", "g"]);
    assert_eq!(
        (second.element("StartAfter"), second.element("ContinuationToken")),
        (None, Some(token))
    );
}

/// Names with characters that XML 1.0 has not, or that it changes, and with line ends.
const ODD: [(&str, &str, &str); 8] = [
    // Percent-encoded, as a list writes it without an encoding, and with one.
    ("a%01b", "a&#x1;b", "a%01b"),
    ("a%0Ab", "a\nb", "a%0Ab"),
    ("a%0Db", "a&#xd;b", "a%0Db"),
    ("a%0D%0Ab", "a&#xd;\nb", "a%0D%0Ab"),
    ("a%1F%7F", "a&#x1f;\u{7f}", "a%1F%7F"),
    ("a%20b%2B", "a b+", "a+b%2B"),
    ("a%3C%26%3E", "a&lt;&amp;&gt;", "a%3C%26%3E"),
    ("a%EF%BF%BE", "a&#xfffe;", "a%EF%BF%BE"),
];

#[test]
fn names_that_xml_has_not_are_references_and_line_ends_are_names() {
    let (_emulator, s3, mut client) = start(Emulator::builder());
    for (name, _, _) in ODD {
        let put = s3.put(&format!("/demo/{name}"), &[], name.as_bytes());
        assert_eq!(put.status, 200, "{name}: {}", put.text());
        assert_eq!(s3.get(&format!("/demo/{name}")).text(), name);
    }
    let mut plain: Vec<_> = ODD.map(|(_, plain, _)| plain.to_owned()).to_vec();
    let mut encoded: Vec<_> = ODD.map(|(_, _, encoded)| encoded.to_owned()).to_vec();
    for list in ["", "&list-type=2", "&versions="] {
        let mut told = all(&s3.get(&format!("/demo?{}", list.trim_start_matches('&'))), "Key");
        told.sort();
        plain.sort();
        assert_eq!(told, plain, "{list}");
        let mut told = all(&s3.get(&format!("/demo?encoding-type=url{list}")), "Key");
        told.sort();
        encoded.sort();
        assert_eq!(told, encoded, "{list}");
    }
    let rolled = s3.get("/demo?delimiter=%0A&prefix=a");
    assert_eq!(all(&rolled, "Prefix")[1..], ["a\n", "a&#xd;\n"]);
    assert_eq!(rolled.element("Delimiter"), Some("\n"));
    let gone = s3.get("/demo/%01%0D");
    assert_eq!(gone.element("Key"), Some("&#x1;&#xd;"));
    // The native API reads what it cannot write.
    let path = "/n/emulator/b/demo/o/a%0Ab";
    assert_eq!(client.get(path).text(), "a%0Ab");
    assert_eq!(client.request("PUT", path, &[], b"x").status, 400);
    let listed = client.get("/n/emulator/b/demo/o");
    assert!(listed.text().contains(r#""a\nb""#), "{}", listed.text());
    let nul = s3.put("/demo/a%00b", &[], b"x");
    assert_eq!(nul.code(), (400, "InvalidArgument".to_owned()));
    let null = "Value must be a sequence of Unicode characters and cannot include Null.";
    assert_eq!(nul.element("Message"), Some(null));
}

#[test]
fn every_object_has_one_version_which_is_null() {
    let (_emulator, s3, mut client) = start(Emulator::builder());
    put_all(&s3, &["a", "b", "d/c"]);
    let listed = s3.get("/demo?versions=");
    assert_eq!(all(&listed, "Key"), ["a", "b", "d/c"]);
    assert_eq!(all(&listed, "VersionId"), ["null"; 3]);
    assert_eq!(all(&listed, "IsLatest"), ["true"; 3]);
    assert_eq!(all(&listed, "Owner").len(), 3);
    for name in ["KeyMarker", "VersionIdMarker", "Prefix"] {
        assert_eq!(listed.element(name), Some(""), "{name}");
    }
    let page = s3.get("/demo?max-keys=1&versions=");
    assert_eq!(
        (page.element("NextKeyMarker"), page.element("NextVersionIdMarker")),
        (Some("a"), Some("null"))
    );
    let page = s3.get("/demo?key-marker=a&version-id-marker=null&versions=");
    assert_eq!(all(&page, "Key"), ["b", "d/c"]);
    let rolled = s3.get("/demo?delimiter=%2F&key-marker=a&max-keys=2&versions=");
    assert_eq!(
        (all(&rolled, "Key"), all(&rolled, "Prefix")),
        (vec!["b".to_owned()], vec!["d/".to_owned(), String::new()])
    );
    let native = client.get("/n/emulator/b/demo/o/a").header("version-id").unwrap().to_owned();
    for (version, status, code) in [
        ("null", 200, ""),
        (&*native, 200, ""),
        ("", 400, "InvalidArgument"),
        ("HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD", 400, "InvalidArgument"),
    ] {
        for method in ["GET", "HEAD"] {
            let path = format!("/demo/a?versionId={version}");
            let got = s3.request(method, &path, &[], b"").unwrap();
            assert_eq!(got.status, status, "{method} {path}");
            if status != 200 && method == "GET" {
                assert_eq!(got.code().1, code);
                assert_eq!(got.element("ArgumentName"), Some("versionId"));
            }
        }
    }
    assert_eq!(s3.get("/demo/none?versionId=null").code(), (404, "NoSuchVersion".to_owned()));
    deletes_name_a_version(&s3, &mut client);
}

fn deletes_name_a_version(s3: &S3, client: &mut Client) {
    let delete = |path: &str| s3.request("DELETE", path, &[], b"").unwrap();
    let other = "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD";
    assert_eq!(
        delete(&format!("/demo/a?versionId={other}")).code(),
        (400, "InvalidArgument".to_owned())
    );
    assert_eq!(
        delete(&format!("/demo/none?versionId={other}")).code(),
        (400, "InvalidArgument".to_owned())
    );
    assert_eq!(client.get("/n/emulator/b/demo/o/a").status, 200, "it is there");
    assert_eq!(delete("/demo/a?versionId=null").status, 204);
    assert_eq!(delete("/demo/a?versionId=null").status, 204, "as often as one likes");
    assert_eq!(client.get("/n/emulator/b/demo/o/a").status, 404);
    let body = format!(
        "<Delete><Object><Key>b</Key><VersionId>{other}</VersionId></Object>\
         <Object><Key>d/c</Key><VersionId>null</VersionId></Object>\
         <Object><Key>none</Key><VersionId>null</VersionId></Object>\
         <Object><Key>none</Key><ETag>&quot;x&quot;</ETag></Object></Delete>"
    );
    let md5 = {
        use base64::Engine as _;
        use md5::Digest as _;
        base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(&body))
    };
    let headers = [("content-md5", &*md5)];
    let told = s3.request("POST", "/demo?delete=", &headers, body.as_bytes()).unwrap();
    let (deleted, error) = (told.element("Deleted").unwrap(), told.element("Error").unwrap());
    let codes = [all(&told, "Code"), vec!["NoSuchVersion".to_owned(), "NoSuchKey".to_owned()]];
    assert_eq!((&codes[0], all(&told, "Deleted").len()), (&codes[1], 2));
    assert!(deleted.contains("<Key>d/c</Key>") && deleted.contains("<VersionId>null</VersionId>"));
    for part in [
        "<Code>NoSuchVersion</Code>",
        "<Key>b</Key>",
        "<Message>The specified version does not exist.</Message>",
        &format!("<VersionId>{other}</VersionId>"),
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(client.get("/n/emulator/b/demo/o/b").status, 200);
    assert_eq!(client.get("/n/emulator/b/demo/o/d/c").status, 404);
}

#[test]
fn buckets_are_listed_by_pages_prefix_and_region() {
    let builder = Emulator::builder().bucket("dam").bucket("far").s3_bucket_region("far", "mars-1");
    let (_emulator, s3, _client) = start(builder);
    let plain = s3.get("/");
    assert_eq!(all(&plain, "Name"), ["dam", "demo", "far"]);
    assert_eq!((plain.element("BucketRegion"), plain.element("ContinuationToken")), (None, None));
    let page = s3.get("/?max-buckets=2");
    assert_eq!(
        (all(&page, "Name").len(), all(&page, "BucketRegion")),
        (2, vec!["us-ashburn-1".to_owned(); 2])
    );
    let token = page.element("ContinuationToken").unwrap();
    let rest = s3.get(&format!("/?continuation-token={token}"));
    assert_eq!(
        (all(&rest, "Name"), rest.element("BucketRegion")),
        (vec!["far".to_owned()], Some("mars-1"))
    );
    assert_eq!(rest.element("ContinuationToken"), None);
    let begun = s3.get("/?prefix=d");
    assert_eq!(
        (all(&begun, "Name"), begun.element("Prefix")),
        (vec!["dam".to_owned(), "demo".to_owned()], Some("d"))
    );
    assert_eq!(all(&s3.get("/?bucket-region=mars-1"), "Name"), ["far"]);
    assert_eq!(all(&s3.get("/?bucket-region=us-ashburn-1&prefix=de"), "Name"), ["demo"]);
    assert_eq!(
        all(&s3.get("/?continuation-token="), "Name").len(),
        3,
        "an empty token says nothing"
    );
    let message = "Argument max-buckets must be an integer between 1 and 10000";
    for max in ["0", "10001"] {
        let told = refused(&s3, &format!("/?max-buckets={max}"));
        assert_eq!(
            told,
            (message.to_owned(), Some("max-buckets".to_owned()), Some(max.to_owned()))
        );
    }
    let told = refused(&s3, "/?bucket-region=eu-east-1");
    let message = "Argument value eu-east-1 is not a valid AWS Region";
    assert_eq!(told, (message.to_owned(), Some("bucket-region".to_owned()), None));
    assert_eq!(refused(&s3, "/?continuation-token=%21").1.as_deref(), Some("continuation-token"));
}

#[test]
fn a_bucket_is_named_as_s3_has_it_unless_it_is_there() {
    let (_emulator, s3, mut client) = start(Emulator::builder().bucket("Old_Name"));
    let long = "x".repeat(63);
    for name in ["abc", "3.a-b", "a.-b", &long] {
        assert_eq!(s3.put(&format!("/{name}"), &[], b"").status, 200, "{name}");
    }
    let too_long = "x".repeat(64);
    for name in [
        "ab",
        "Bad",
        "bad_name",
        "-ab",
        "ab-",
        ".ab",
        "ab.",
        "a..b",
        "192.168.5.4",
        "xn--ab",
        "sthree-ab",
        "amzn-s3-demo-ab",
        "ab-s3alias",
        "ab--ol-s3",
        "ab.mrap",
        "ab--x-s3",
        "ab--table-s3",
        "b%C3%BCcher",
        "a%20b",
        &too_long,
    ] {
        for (method, path) in [("PUT", ""), ("GET", "?list-type=2"), ("PUT", "/key")] {
            let refused = s3.request(method, &format!("/{name}{path}"), &[], b"").unwrap();
            assert_eq!(refused.code(), (400, "InvalidBucketName".to_owned()), "{method} {name}");
            let message = "The specified bucket is not valid.";
            assert_eq!(refused.element("Message"), Some(message));
        }
    }
    assert_eq!(s3.put("/bad_name", &[], b"").element("BucketName"), Some("bad_name"));
    // What the native API made is reached by its name.
    assert_eq!(s3.put("/Old_Name/x", &[], b"hello").status, 200);
    assert_eq!(client.get("/n/emulator/b/Old_Name/o/x").text(), "hello");
    assert!(all(&s3.get("/"), "Name").contains(&"Old_Name".to_owned()));
    assert_eq!(s3.put("/Old_Name", &[], b"").code(), (409, "BucketAlreadyOwnedByYou".to_owned()));
}

#[test]
fn a_bucket_is_made_where_the_endpoint_is() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    let body = |region: &str| {
        format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        )
    };
    let refused = s3.put("/there", &[], body("eu-west-1").as_bytes());
    assert_eq!(refused.code(), (400, "IllegalLocationConstraintException".to_owned()));
    let message = "The eu-west-1 location constraint is incompatible for the region specific endpoint this request \
                   was sent to.";
    assert_eq!(refused.element("Message"), Some(message));
    assert_eq!(s3.get("/there?location=").code(), (404, "NoSuchBucket".to_owned()));
    assert_eq!(s3.put("/there", &[], body("us-ashburn-1").as_bytes()).status, 200);
    assert_eq!(s3.put("/here", &[], b"").status, 200, "unspecified is the endpoint's");
}
