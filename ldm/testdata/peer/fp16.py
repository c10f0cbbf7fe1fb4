"""Measures what float16 storage costs PyTorch in the text-to-image fixture.

    pip install torch==2.9.1 diffusers==0.35.2 transformers==4.57.1
    python3 ldm/testdata/peer/fp16.py > ldm/testdata/peer/fp16.json

Each deterministic run of the fixture is repeated with every network in float16, from the recorded
noise; printed is the PSNR in dB of its picture against the float32 picture of the fixture. The
Metal backend, which stores float16 too, may be 3 dB worse.
"""

import json, os, sys

import numpy as np
import torch
from diffusers import LDMTextToImagePipeline
from PIL import Image
from safetensors.torch import load_file


def main():
    root = os.path.join(os.path.dirname(__file__), "../golden/text2img-tiny")
    expect = load_file(root + "/expect.safetensors")
    pipe = LDMTextToImagePipeline.from_pretrained(root + "/model", torch_dtype=torch.float16)
    pipe.set_progress_bar_config(disable=True)
    result = {}
    for run in json.load(open(root + "/case.json"))["runs"]:
        if run["eta"] > 0:
            continue
        images = pipe(run["prompts"], height=run["height"], width=run["width"], num_inference_steps=run["steps"],
                      guidance_scale=run["guidance_scale"], eta=0.0, output_type="pil",
                      latents=expect[run["name"] + "/x_T"].half()).images
        want = np.asarray(Image.open(f"{root}/{run['name']}.png"), dtype=np.float64)
        error = np.mean((np.asarray(images[0], dtype=np.float64) - want) ** 2)
        result[run["name"]] = round(10 * np.log10(255 ** 2 / error), 2)
    json.dump({"torch": torch.__version__, "psnr_db": result}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
