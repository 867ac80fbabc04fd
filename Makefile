# The package of the function in `template.yaml`: `sam build` calls this, with the folder to fill in ARTIFACTS_DIR.
#
# With cargo-lambda (`pip install cargo-lambda`) it is built for arm64 on any machine. Without it, for this machine's own
# processor: then `Architectures` in `template.yaml` must say the same. BINARY=path packs one that was built elsewhere.
#
# `provided.al2023` has glibc 2.34. A binary that was linked with a newer one may not start there, and is refused here.

# What goes into the package as `collector.yaml`.
CONFIG ?= config/lambda.yaml
BINARY ?=
ARTIFACTS_DIR ?= target/package
GLIBC := GLIBC_2.34

.PHONY: build-Function
build-Function:
	mkdir -p "$(ARTIFACTS_DIR)"
ifneq ($(BINARY),)
	cp "$(BINARY)" "$(ARTIFACTS_DIR)/bootstrap"
else ifneq ($(shell command -v cargo-lambda),)
	cargo lambda build --release --arm64 --bin collector
	cp target/lambda/collector/bootstrap "$(ARTIFACTS_DIR)/bootstrap"
else
	cargo build --release --bin collector
	cp target/release/collector "$(ARTIFACTS_DIR)/bootstrap"
endif
	@if ! symbols=$$(objdump -T "$(ARTIFACTS_DIR)/bootstrap" 2>/dev/null); then \
		echo "objdump cannot read the binary (Debian: binutils): its glibc is not checked" >&2; \
	else \
		newest=$$( (echo "$$symbols" | grep -o 'GLIBC_2[0-9.]*'; echo $(GLIBC)) | sort -uV | tail -1); \
		if [ "$$newest" != $(GLIBC) ]; then \
			echo "the binary needs $$newest, and Lambda has $(GLIBC): build with cargo-lambda, or on an older system" >&2; \
			exit 1; \
		fi; \
	fi
	cp "$(CONFIG)" "$(ARTIFACTS_DIR)/collector.yaml"
