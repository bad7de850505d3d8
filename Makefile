# The commands a newcomer needs are `make demo`, `make check` and `make test`.
SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(HOME)/.cache/storescope/target
export CARGO_TERM_COLOR ?= never

.PHONY: demo demo-reduction demo-trainer demo-binary check test test-matrix lint fmt bench build dist help

help:
	@echo "make demo         measure a simulated store: needs Rust alone"
	@echo "make demo-reduction  a million events in a simulated S3, reduced by processes and by Spark (needs Java and Python, too)"
	@echo "make demo-trainer    events of three classes in a simulated S3, and a classifier trained on them (needs Python, too)"
	@echo "make check        format, clippy and the tests beside the code: minutes, for the next edit"
	@echo "make test         everything that must hold: Rust, vectors, Oracle's Python SDK, boto3, hdrhistogram, the wheel,"
	@echo "                  the jar by Hadoop's contract suites and one round trip of Spark, the workloads (needs Maven and a JDK from 17 on)"
	@echo "make test-matrix  the long suites: each feature alone, object_store's own suite, DataFusion, ocifs, oci-cli, UploadManager,"
	@echo "                  rclone, s5cmd, Oracle's Java SDK, S3 servers of others, proxies, two minutes of soak, 20,000 requests against the"
	@echo "make test-matrix  the long suites: each feature alone, object_store's own suite, fuzz targets, DataFusion, ocifs, oci-cli, UploadManager,"
	@echo "                  rclone, s5cmd, Oracle's Java SDK, S3 servers of others, proxies, 20,000 requests against the"
	@echo "                  rclone, s5cmd, Oracle's Java SDK, S3 servers of others, proxies, toxiproxy, 20,000 requests against the"
	@echo "                  rclone, s5cmd, Oracle's Java SDK, its Go and Java SDKs as each principal, S3 servers of others, proxies, 20,000 requests against the"
	@echo "                  server's record, the second RSA provider, dask and coffea, the wheel as it is given out,"
	@echo "                  the wheel and the jar under threads, interrupts and collections for five minutes each,"
	@echo "                  Hadoop's suites on 3.5.0 and by S3, Spark's committers, failures and older release, the commands"
	@echo "                  of docs/HADOOP.md, Delta Lake and Iceberg; the reduction on two Sparks and a cluster, beside ROOT;"
	@echo "                  the trigger classifier's inclusive model, four workers, and its first steps on two Sparks;"
	@echo "                  each query of the dashboards and alerts by a Prometheus over a real application and a real training;"
	@echo "                  the Helm chart on Kubernetes' own API server and controllers;"
	@echo "                  its objects by the schemas of three minors, and its pods as processes"
	@echo "make lint         format, clippy, docs, licences"
	@echo "make dist         the wheel and the jars for any Linux x86_64, in dist/"
	@echo "make bench        benchmarks against peers (benches/README.md)"

build:
	cargo build --profile ci --locked -p storescope-cli

# A store with the latency of S3 in its own process, a ROOT file uploaded, its ranges read back signed. Without S3, whose SDK
# and server are most of what there is to compile.
demo: demo-binary
	$(CARGO_TARGET_DIR)/demo/storescope bench --emulator s3-standard --upload fixtures/demo.root --size 64KiB --count 500

# The CMS dimuon reduction from end to end, by the same binary.
demo-reduction: demo-binary
	@STORESCOPE_BIN=$(CARGO_TARGET_DIR)/demo/storescope scripts/stages workloads-env demo-reduction

# The trigger classifier from end to end: events made, selected, prepared and trained on, in a simulated S3.
demo-trainer: demo-binary
	@STORESCOPE_BIN=$(CARGO_TARGET_DIR)/demo/storescope scripts/stages workloads-env demo-trainer

demo-binary:
	cargo build --profile demo --locked -p storescope-cli --no-default-features

check:
	@scripts/stages format clippy unit

test:
	@scripts/stages format clippy docs edges build rust models interop instrument workloads-env jar 'python trainer | workloads hadoop spark'

test-matrix:
	@scripts/stages build soak features rsa-provider object-store fuzz datafusion clients principals-matrix toxiproxy s3-others \
		java truth instrument-matrix python python-matrix python-exits wheel jar stress hadoop-matrix spark-matrix workloads-matrix \
		trainer-matrix dashboards deploy deploy-matrix plane dist-jar

lint:
	@scripts/stages format clippy docs deny

fmt:
	cargo fmt --all

# What is given out, in dist/.
dist:
	@scripts/stages build wheel dist-jar

bench:
	cargo bench --locked -p storescope-benches
