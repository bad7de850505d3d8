#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds kube-apiserver, kube-controller-manager and kubectl into a folder ($1), where they are not there yet: some ten minutes of
# CPU.
set -euo pipefail
cd "$(dirname "$0")"
out="$1"
version=$(awk '$1 == "require" { print $3 }' go.mod)
[ -e "$out/$version.done" ] && exit 0
mkdir -p "$out"
# A copy: Go writes what it learns into go.mod and go.sum.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp go.mod "$work"
[ ! -e go.sum ] || cp go.sum "$work"
cd "$work"
minor=${version#v1.}
set_version="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1"
set_version+=" -X k8s.io/component-base/version.gitMinor=${minor%%.*} -X k8s.io/component-base/version.gitTreeState=clean"
for command in kube-apiserver kube-controller-manager kubectl; do
  CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w $set_version" -o "$out/$command" "k8s.io/kubernetes/cmd/$command"
done
touch "$out/$version.done"
