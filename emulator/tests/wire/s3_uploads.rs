// SPDX-License-Identifier: Apache-2.0
//! Uploads by parts and what is told of their objects: GetObjectAttributes, a repeated CompleteMultipartUpload, ranges
//! of UploadPartCopy, and lists.

use storescope_emulator::Emulator;

use crate::s3::{Answer, S3, start};

const SHA256: [&str; 3] = [
    // Of "one", "two" and "three".
    "dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z/0Me0=",
    "P8TM/nRYcOLA2Z9x8w/wZWyN7dQcwdfT03aw2+aF4vM=",
    "i1udsME9skJWyCmqNkqpDG0uujGLkjKkq5MTuVTTVV8=",
];

fn begin(s3: &S3, key: &str, headers: &[(&str, &str)]) -> String {
    let answer = s3.request("POST", &format!("/demo/{key}?uploads="), headers, b"").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.element("UploadId").unwrap().to_owned()
}

fn put_part(
    s3: &S3,
    key: &str,
    id: &str,
    number: u32,
    headers: &[(&str, &str)],
    body: &[u8],
) -> String {
    let answer = s3.put(&format!("/demo/{key}?partNumber={number}&uploadId={id}"), headers, body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("etag").unwrap().to_owned()
}

fn complete(s3: &S3, key: &str, id: &str, parts: &[(u32, &str)]) -> Answer {
    let parts = parts
        .iter()
        .map(|(number, rest)| format!("<Part><PartNumber>{number}</PartNumber>{rest}</Part>"));
    let body = format!(
        "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
        parts.collect::<Vec<_>>().concat()
    );
    s3.request("POST", &format!("/demo/{key}?uploadId={id}"), &[], body.as_bytes()).unwrap()
}

fn named(etag: &str) -> String {
    format!("<ETag>{etag}</ETag>")
}

#[test]
fn a_complete_that_is_repeated_is_answered_as_the_first_was() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    let id = begin(&s3, "x", &[]);
    let one = named(&put_part(&s3, "x", &id, 1, &[], b"one"));
    let two = named(&put_part(&s3, "x", &id, 2, &[], b"two"));
    let first = complete(&s3, "x", &id, &[(1, &one), (2, &two)]);
    assert_eq!(first.status, 200, "{}", first.text());
    let told = |answer: &Answer| {
        ["Bucket", "Key", "ETag", "Location"].map(|name| answer.element(name).unwrap().to_owned())
    };
    for _ in 0..2 {
        let again = complete(&s3, "x", &id, &[(1, &one), (2, &two)]);
        assert_eq!((again.status, told(&again)), (200, told(&first)));
    }
    // It is the answer that is repeated: what came since stays.
    s3.put("/demo/x", &[], b"later");
    let again = complete(&s3, "x", &id, &[(1, &one), (2, &two)]);
    assert_eq!((again.status, told(&again)), (200, told(&first)));
    assert_eq!(s3.get("/demo/x").text(), "later");
    assert_eq!(s3.request("DELETE", "/demo/x", &[], b"").unwrap().status, 204);
    assert_eq!(complete(&s3, "x", &id, &[(1, &one), (2, &two)]).status, 200);
    assert_eq!(s3.get("/demo/x").status, 404);
    let gone = (404, "NoSuchUpload".to_owned());
    assert_eq!(complete(&s3, "x", &id, &[(1, &one)]).code(), gone);
    assert_eq!(complete(&s3, "x", &id, &[(1, &two), (2, &one)]).code(), gone);
    assert_eq!(complete(&s3, "x", &id, &[(1, &one), (3, &two)]).code(), gone);
    assert_eq!(complete(&s3, "y", &id, &[(1, &one), (2, &two)]).code(), gone);
    assert_eq!(complete(&s3, "x", "other", &[(1, &one), (2, &two)]).code(), gone);
    let part = s3.put(&format!("/demo/x?partNumber=1&uploadId={id}"), &[], b"one");
    assert_eq!(part.code(), gone);
    let aborted = begin(&s3, "x", &[]);
    put_part(&s3, "x", &aborted, 1, &[], b"one");
    let path = format!("/demo/x?uploadId={aborted}");
    assert_eq!(s3.request("DELETE", &path, &[], b"").unwrap().status, 204);
    assert_eq!(complete(&s3, "x", &aborted, &[(1, &one)]).code(), gone);
}

#[test]
fn a_complete_that_is_repeated_is_known_after_a_start() {
    let data = tempfile::tempdir().unwrap();
    let builder = Emulator::builder().data_dir(data.path());
    let (emulator, s3, _client) = start(builder.clone());
    let id = begin(&s3, "x", &[]);
    let one = named(&put_part(&s3, "x", &id, 1, &[], b"one"));
    let first = complete(&s3, "x", &id, &[(1, &one)]);
    emulator.stop();
    let (_emulator, s3, _client) = start(builder);
    let again = complete(&s3, "x", &id, &[(1, &one)]);
    assert_eq!((again.status, again.element("ETag")), (200, first.element("ETag")));
}

#[test]
fn a_part_that_is_none_is_named() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    let id = begin(&s3, "x", &[]);
    let one = named(&put_part(&s3, "x", &id, 1, &[], b"one"));
    let told = |answer: &Answer| {
        let error = answer.error();
        error
            .into_iter()
            .filter(|(name, _)| name != "Message")
            .map(|(_, text)| text)
            .collect::<Vec<_>>()
    };
    let other = "d41d8cd98f00b204e9800998ecf8427e";
    for (number, etag) in [(1, other), (7, other)] {
        let answer = complete(&s3, "x", &id, &[(number, &named(etag))]);
        let expected = ["InvalidPart", &*id, &*number.to_string(), etag];
        assert_eq!((answer.status, told(&answer)), (400, expected.map(str::to_owned).to_vec()));
    }
    let answer = complete(&s3, "x", &id, &[(1, &one), (1, &one)]);
    assert_eq!(
        (answer.status, told(&answer)),
        (400, vec!["InvalidPartOrder".to_owned(), id.clone()])
    );
    let none = complete(&s3, "x", &id, &[]);
    assert_eq!(none.code(), (400, "InvalidRequest".to_owned()));
    assert_eq!(none.element("Message"), Some("You must specify at least one part"));
    for number in ["0", "10001", "-1"] {
        let answer = s3.put(&format!("/demo/x?partNumber={number}&uploadId={id}"), &[], b"");
        let expected = ["InvalidArgument", "partNumber", number].map(str::to_owned).to_vec();
        assert_eq!((answer.status, told(&answer)), (400, expected));
    }
}

#[test]
fn a_part_is_copied_of_bytes_that_are_there() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    s3.put("/demo/source", &[], b"0123456789");
    let id = begin(&s3, "x", &[]);
    let copy = |range: &str| {
        let headers = [("x-amz-copy-source", "/demo/source"), ("x-amz-copy-source-range", range)];
        s3.put(&format!("/demo/x?partNumber=1&uploadId={id}"), &headers, b"")
    };
    let form = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
                zero-based offsets of the first and last bytes to copy";
    let beyond = "Range specified is not valid for source object of size: 10";
    for (range, message) in [
        ("bytes=0-10", beyond),
        ("bytes=9-10", beyond),
        ("0-8", form),
        ("bytes=1-0", form),
        ("bytes=3-", form),
        ("bytes=-3", form),
        ("bytes=0-1,3-4", form),
        ("bytes=a-b", form),
    ] {
        let answer = copy(range);
        assert_eq!(answer.code(), (400, "InvalidArgument".to_owned()), "{range}");
        assert_eq!(answer.element("Message"), Some(message), "{range}");
        assert_eq!(answer.element("ArgumentName"), Some("x-amz-copy-source-range"));
        assert_eq!(answer.element("ArgumentValue"), Some(range));
    }
    let answer = copy("bytes=10-12");
    assert_eq!(answer.code(), (400, "InvalidRequest".to_owned()));
    let listed = s3.get(&format!("/demo/x?uploadId={id}"));
    assert_eq!(listed.element("Part"), None, "no part of what was refused");
    let etag = copy("bytes=3-9").element("ETag").unwrap().to_owned();
    assert_eq!(complete(&s3, "x", &id, &[(1, &named(&etag))]).status, 200);
    assert_eq!(s3.get("/demo/x").text(), "3456789");
}

/// The elements of an answer's document, in their order, without what is below them.
fn attributes(s3: &S3, path: &str, headers: &[(&str, &str)]) -> Answer {
    let answer = s3.request("GET", &format!("{path}?attributes="), headers, b"").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

#[test]
fn attributes_are_told_that_are_asked_for() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    s3.put("/demo/x", &[("x-amz-checksum-crc32c", "mnG7TA==")], b"hello");
    let name = "x-amz-object-attributes";
    let all =
        attributes(&s3, "/demo/x", &[(name, "ETag,Checksum, ObjectParts,StorageClass,ObjectSize")]);
    assert_eq!(all.element("ETag"), Some("5d41402abc4b2a76b9719d911017c592"), "without quotes");
    let checksum =
        "<ChecksumCRC32C>mnG7TA==</ChecksumCRC32C><ChecksumType>FULL_OBJECT</ChecksumType>";
    assert_eq!(all.element("Checksum"), Some(checksum));
    assert_eq!(
        (all.element("ObjectSize"), all.element("StorageClass")),
        (Some("5"), Some("STANDARD"))
    );
    assert_eq!(all.element("ObjectParts"), None, "it has none");
    assert!(all.header("last-modified").is_some());
    let one = attributes(&s3, "/demo/x", &[(name, "ObjectSize")]);
    assert!(one.text().ends_with("<ObjectSize>5</ObjectSize></GetObjectAttributesResponse>"));
    assert_eq!((one.element("ETag"), one.element("Checksum")), (None, None));
    let refused = s3.request("GET", "/demo/x?attributes=", &[(name, "ETag,Colour")], b"").unwrap();
    assert_eq!(refused.code(), (400, "InvalidArgument".to_owned()));
    assert_eq!(refused.element("ArgumentValue"), Some("Colour"));
    let refused = s3.request("GET", "/demo/x?attributes=", &[], b"").unwrap();
    assert_eq!(refused.status, 400);
    let gone = s3.request("GET", "/demo/y?attributes=", &[(name, "ETag")], b"").unwrap();
    assert_eq!(gone.code(), (404, "NoSuchKey".to_owned()));
}

#[test]
fn attributes_tell_parts_by_pages_where_they_have_checksums() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    let id = begin(&s3, "x", &[("x-amz-checksum-algorithm", "SHA256")]);
    let parts: Vec<_> = [(1, "one"), (4, "two"), (9, "three")]
        .into_iter()
        .zip(SHA256)
        .map(|((number, body), sum)| {
            let headers = [("x-amz-checksum-sha256", sum)];
            let etag = put_part(&s3, "x", &id, number, &headers, body.as_bytes());
            (number, format!("{}<ChecksumSHA256>{sum}</ChecksumSHA256>", named(&etag)))
        })
        .collect();
    let parts: Vec<_> = parts.iter().map(|(number, rest)| (*number, rest.as_str())).collect();
    assert_eq!(complete(&s3, "x", &id, &parts).status, 200);
    let name = "x-amz-object-attributes";
    let all = attributes(&s3, "/demo/x", &[(name, "ObjectParts,Checksum")]);
    let part = |number: u32, size: usize, sum: &str| {
        format!(
            "<Part><ChecksumSHA256>{sum}</ChecksumSHA256><PartNumber>{number}</PartNumber>\
             <Size>{size}</Size></Part>"
        )
    };
    let told = |truncated: bool, max: u32, (next, marker): (u32, u32), parts: &[String]| {
        format!(
            "<IsTruncated>{truncated}</IsTruncated><MaxParts>{max}</MaxParts>\
             <NextPartNumberMarker>{next}</NextPartNumberMarker>\
             <PartNumberMarker>{marker}</PartNumberMarker>{}<PartsCount>3</PartsCount>",
            parts.concat()
        )
    };
    let [one, two, three] = [part(1, 3, SHA256[0]), part(4, 3, SHA256[1]), part(9, 5, SHA256[2])];
    let three_of = told(false, 1000, (9, 0), &[one.clone(), two.clone(), three.clone()]);
    assert_eq!(all.element("ObjectParts"), Some(&*three_of));
    let checksum = all.element("Checksum").unwrap();
    assert!(
        checksum.ends_with("<ChecksumType>COMPOSITE</ChecksumType>") && !checksum.contains("-3")
    );
    let page = |max: &str, marker: &str| {
        let headers =
            [(name, "ObjectParts"), ("x-amz-max-parts", max), ("x-amz-part-number-marker", marker)];
        attributes(&s3, "/demo/x", &headers).element("ObjectParts").unwrap().to_owned()
    };
    assert_eq!(page("2", "0"), told(true, 2, (4, 0), &[one, two.clone()]));
    assert_eq!(page("1", "1"), told(true, 1, (4, 1), &[two]));
    assert_eq!(page("2", "4"), told(false, 2, (9, 4), &[three]));
    assert_eq!(page("1", "10"), told(false, 1, (0, 10), &[]));
    // Without checksums of their own, their number.
    let id = begin(&s3, "y", &[]);
    let etag = named(&put_part(&s3, "y", &id, 3, &[], b"three"));
    assert_eq!(complete(&s3, "y", &id, &[(3, &etag)]).status, 200);
    let count = attributes(&s3, "/demo/y", &[(name, "ObjectParts")]);
    assert_eq!(count.element("ObjectParts"), Some("<PartsCount>1</PartsCount>"));
}

#[test]
fn uploads_and_parts_are_listed_as_s3_lists_them() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    let ids: Vec<_> = ["d/a", "d/b", "e", "e"].iter().map(|key| begin(&s3, key, &[])).collect();
    let empty = s3.get("/demo?prefix=none&uploads=");
    assert_eq!(
        (empty.element("NextKeyMarker"), empty.element("NextUploadIdMarker")),
        (Some(""), Some(""))
    );
    let all = s3.get("/demo?uploads=");
    assert_eq!(all.text().matches("<Upload>").count(), 4);
    assert_eq!(all.text().matches("<StorageClass>STANDARD</StorageClass>").count(), 4);
    assert_eq!(
        (all.text().matches("<Owner>").count(), all.text().matches("<Initiator>").count()),
        (4, 4)
    );
    assert_eq!(all.element("NextKeyMarker"), Some("e"), "though there is no more");
    let rolled = s3.get("/demo?delimiter=%2F&max-uploads=1&uploads=");
    assert_eq!(
        (rolled.element("CommonPrefixes"), rolled.element("IsTruncated")),
        (Some("<Prefix>d/</Prefix>"), Some("true"))
    );
    let marker = rolled.element("NextKeyMarker").unwrap();
    let rest =
        s3.get(&format!("/demo?delimiter=%2F&key-marker={}&uploads=", marker.replace('/', "%2F")));
    assert_eq!(
        (rest.element("CommonPrefixes"), rest.text().matches("<Upload>").count()),
        (None, 2)
    );
    let wrong = s3.get(&format!("/demo?key-marker=d%2Fa&upload-id-marker={}&uploads=", ids[2]));
    assert_eq!(wrong.code(), (400, "InvalidArgument".to_owned()));
    assert_eq!(wrong.element("ArgumentName"), Some("upload-id-marker"));
    let alone = s3.get(&format!("/demo?upload-id-marker={}&uploads=", ids[2]));
    assert_eq!(
        (alone.text().matches("<Upload>").count(), alone.element("UploadIdMarker")),
        (4, Some(""))
    );
    let parts = s3.get(&format!("/demo/e?uploadId={}", ids[2]));
    for (name, text) in
        [("PartNumberMarker", "0"), ("NextPartNumberMarker", "0"), ("StorageClass", "STANDARD")]
    {
        assert_eq!(parts.element(name), Some(text), "{name}");
    }
    put_part(&s3, "e", &ids[2], 5, &[], b"five");
    let parts = s3.get(&format!("/demo/e?uploadId={}", ids[2]));
    assert_eq!(parts.element("NextPartNumberMarker"), Some("5"));
    assert!(parts.element("Owner").is_some() && parts.element("Initiator").is_some());
}
