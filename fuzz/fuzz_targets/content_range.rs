// SPDX-License-Identifier: Apache-2.0
#![no_main]

storescope_fuzz::target!(storescope::fuzzing::content_range);
