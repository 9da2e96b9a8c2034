# Everything a newcomer needs: `make run`, `make test`. See README.md.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: build run test test-swift test-system check format bench cluster cluster-stop coverage deps deps-test clean

SWIFT ?= swift
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# With COVERAGE=1 what the tests are built from counts the lines that it runs: `make test` prints the
# line coverage of the Swift tests and fails below the goals of scripts/coverage.py.
MEASURED := $(if $(COVERAGE),--enable-code-coverage)

BUILD_PACKAGES := libssl-dev libisal-dev libsqlite3-dev libexpat1-dev libzstd-dev libgrpc-dev libpq-dev libhiredis-dev \
	$(if $(filter x86_64,$(shell uname -m)),libipsec-mb-dev)
TEST_PACKAGES := curl s3cmd python3-venv e2fsprogs util-linux postgresql redis-server
CLUSTER_PACKAGES := postgresql redis-server util-linux python3
BENCH_PACKAGES := wrk nginx-light curl $(CLUSTER_PACKAGES)

# $(call install,PACKAGES): installs what is missing, and costs nothing when nothing is.
install = @missing=$$(for p in $(1); do dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null \
	| grep -qx installed || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "installing" $$missing; \
	  $(SUDO) apt-get update -qq; \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing \
	    >/dev/null; fi

deps:
	$(call install,$(BUILD_PACKAGES))

deps-test: deps .venv/installed
	$(call install,$(TEST_PACKAGES))

# Clients are tested at their newest: what was installed more than a week ago is renewed, or kept
# where the registry cannot be reached.
STALE := $(shell find .venv/installed -mtime +6 2>/dev/null)
.PHONY: renewal

.venv/installed: Tests/System/requirements.txt $(if $(STALE),renewal)
	$(call install,python3-venv)
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --upgrade -r $< \
	  || { [ -n "$(STALE)" ] && ! [ $< -nt $@ ] && echo "the test clients are not renewed"; }
	touch $@

build: deps
	$(SWIFT) build -c release --product s3storage

run: build
	exec .build/release/s3storage serve --data-dir ./data

# PostgreSQL, Redis, six storage servers and two gateways: in the foreground, or with
# `make cluster DIR=d BASE_PORT=n` in the background, see d/cluster.env and `make cluster-stop DIR=d`.
cluster: $(if $(S3STORAGE_BINARY),deps,build)
	$(call install,$(CLUSTER_PACKAGES))
	exec python3 scripts/cluster.py $(if $(DIR),start "$(DIR)" "$(BASE_PORT)",run cluster-data "$(BASE_PORT)")

cluster-stop:
	python3 scripts/cluster.py stop "$(or $(DIR),cluster-data)"

test: test-swift test-system

# Few tests at a time: of hundreds that are begun together, each takes as long as all of them, and
# what has a limit by the clock runs out of it.
test-swift: deps-test
	$(SWIFT) build --build-tests $(MEASURED)
	@mkdir -p .build
	SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=12 python3 scripts/watched.py .build/test-swift.log \
	  stdbuf -oL $(SWIFT) test --skip-build --disable-xctest $(MEASURED)
	$(if $(COVERAGE),python3 scripts/coverage.py)

test-system: deps-test
	$(SWIFT) build --product s3storage $(MEASURED)
	LLVM_PROFILE_FILE=/dev/null .venv/bin/python -m pytest Tests/System -q

check: deps
	$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests
	$(SWIFT) package dump-package > .build/package.json
	python3 scripts/tidy.py --self-test
	python3 scripts/watched.py --self-test
	python3 scripts/coverage.py --self-test
	python3 scripts/tidy.py
	$(SWIFT) build --build-tests $(MEASURED)

format:
	$(SWIFT) format --in-place --parallel --recursive Package.swift Sources Tests

bench: build
	$(call install,$(BENCH_PACKAGES))
	$(SWIFT) build -c release --product s3storage-bench
	python3 bench/run.py

coverage: deps-test
	$(SWIFT) test --disable-xctest --enable-code-coverage
	python3 scripts/coverage.py

clean:
	rm -rf .build .venv
