# SPDX-License-Identifier: GPL-3.0-or-later
# A short door to Meson and the scripts. `make`, `make demo` and `make test` install what they need on Debian 12 and 13
# (as root or through sudo); everything else is in CONTRIBUTING.md.
BUILD = build
ASAN = build-asan
SANITIZE = -Db_sanitize=address,undefined -Db_lundef=false -Db_ndebug=false

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@scripts/install-deps build
	@meson setup $(BUILD) -Dtests=false

$(ASAN)/build.ninja:
	@scripts/install-deps build test
	@meson setup $(ASAN) $(SANITIZE)

demo:
	@scripts/install-deps build demo
	@$(MAKE) --no-print-directory all
	@demo/run

test: all $(ASAN)/build.ninja
	@scripts/install-deps build test
	@scripts/test $(BUILD) $(ASAN)

interop: all
	@scripts/install-deps interop
	@tests/interop/newest

# Faults in loops, an hour and a half; SHORT=1: what `make test` runs of them. OPTIONS: see tests/soak/README.md.
soak: all
	@scripts/install-deps build test
	@tests/soak/run $(if $(SHORT),--quick) $(OPTIONS) $(BUILD)/acme-delegate

bench: all
	@scripts/install-deps build bench
	@bench/run

deb:
	@scripts/install-deps build deb
	@scripts/deb

fuzz:
	@scripts/install-deps build fuzz
	@scripts/fuzz

install: all
	@meson install -C $(BUILD) --no-rebuild

format:
	@clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	@rm -rf $(BUILD) $(ASAN) build-fuzz build-deb

.PHONY: all demo test interop soak bench deb fuzz install format clean
