// SPDX-License-Identifier: Apache-2.0
//! The peers, each by what its documentation recommends for the pattern (`docs/COMPARE.md` names the places).

pub(crate) mod aws_sdk;
pub(crate) mod object_store_s3;
pub(crate) mod opendal_s3;

/// Of long reads that a peer leaves to its caller to cut: what AWS calls typical, and as many at a time as it advises for
/// 10 Gb/s, one for each 85 to 90 MB/s.
const PART: u64 = 8 << 20;
const AT_A_TIME: usize = 15;

/// As many as a stream of storescope has under way at most.
const MANY: usize = 48;
