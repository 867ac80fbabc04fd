# The package of the function in `template.yaml`: `sam build` calls this, with the folder to fill in ARTIFACTS_DIR.
#
# With cargo-lambda (`pip install cargo-lambda`) it is built for arm64 on any machine. Without it, for this machine's own
# processor: then `Architectures` in `template.yaml` must say the same. BINARY=path packs one that was built elsewhere.

# What goes into the package as `collector.yaml`.
CONFIG ?= config/lambda.yaml
BINARY ?=
ARTIFACTS_DIR ?= target/package

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
	cp "$(CONFIG)" "$(ARTIFACTS_DIR)/collector.yaml"
