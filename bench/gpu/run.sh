#!/bin/sh
# Runs what gpu/pack.ts packed, beside this script: sh run.sh [--out FOLDER] [--small] [--only section,...] [--tune FILE [argument ...]]
# Needs a GPU's driver, and tar with xz or python3 to unpack; PyTorch takes part where python3 has it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for archive in runtime project; do
  tar -C "$folder" -xJf "$here/$archive.tar.xz" 2>/dev/null ||
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$here/$archive.tar.xz" "$folder"
done

# A driver that is named is taken as it is; else NVIDIA's where it lies, which the loader may not look through.
if [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]; then
  for icd in /usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json /etc/vulkan/icd.d/nvidia_icd.json /usr/share/vulkan/icd.d/nvidia_icd.json \
    /usr/share/vulkan/icd.d/nvidia_icd.x86_64.json; do
    if [ -e "$icd" ]; then
      export VK_DRIVER_FILES="$icd" VK_ICD_FILENAMES="$icd"
      break
    fi
  done
fi
ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1 ' || export LD_LIBRARY_PATH="$folder/runtime/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
"$folder/runtime/node" --disable-warning=ExperimentalWarning "$folder/bench/gpu/main.ts" "$@"
