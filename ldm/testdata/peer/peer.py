"""Times one U-Net evaluation of a model folder in PyTorch and in ldm-mac, in turns.

    pip install torch==2.9.1 numpy
    go build -o bin/ ./cmd/ldm-mac ./cmd/unet-eval
    bin/ldm-mac models random txt2img-large -o out/large
    python3 ldm/testdata/peer/peer.py out/large --size 32 --batch 2

Both use the folder's weights in float32, the same input and as many threads as there are cores;
PyTorch runs in inference mode, in the faster of its two memory layouts. The outputs are compared
first. Printed are medians, and the median of the ratios of neighbouring runs with its 95 %
interval by the bootstrap.
"""

import argparse, json, math, os, random, statistics, struct, subprocess, time

import numpy as np
import torch
import torch.nn.functional as F


def weights(path):
    """The tensors of a safetensors file as float32."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    size = struct.unpack("<Q", data[:8].tobytes())[0]
    header = json.loads(data[8:8 + size].tobytes())
    header.pop("__metadata__", None)
    types = {"F32": np.float32, "F16": np.float16}
    out = {}
    for name, t in header.items():
        start, end = (8 + size + o for o in t["data_offsets"])
        values = data[start:end].view(types[t["dtype"]]).astype(np.float32)
        out[name] = torch.from_numpy(values.reshape(t["shape"]))
    return out


class UNet:
    """UNet2DConditionModel as functions of a dictionary of weights."""

    def __init__(self, config, w):
        self.c, self.w = config, w

    def linear(self, name, x):
        return F.linear(x, self.w[name + ".weight"].flatten(1), self.w.get(name + ".bias"))

    def conv(self, name, x, stride=1):
        w = self.w[name + ".weight"]
        return F.conv2d(x, w, self.w[name + ".bias"], stride, w.shape[-1] // 2)

    def group_norm(self, name, x, eps):
        return F.group_norm(x, self.c["norm_num_groups"], self.w[name + ".weight"], self.w[name + ".bias"], eps)

    def layer_norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"])

    def resnet(self, name, x, emb):
        eps = self.c["norm_eps"]
        h = self.conv(name + ".conv1", F.silu(self.group_norm(name + ".norm1", x, eps)))
        h = h + self.linear(name + ".time_emb_proj", emb)[:, :, None, None]
        h = self.conv(name + ".conv2", F.silu(self.group_norm(name + ".norm2", h, eps)))
        if name + ".conv_shortcut.weight" in self.w:
            x = self.conv(name + ".conv_shortcut", x)
        return x + h

    def attention(self, name, x, cond, heads):
        n, l, d = x.shape
        q, k, v = (self.linear(f"{name}.to_{p}", y).view(n, -1, heads, d // heads).transpose(1, 2)
                   for p, y in (("q", x), ("k", cond), ("v", cond)))
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, l, d)
        return self.linear(name + ".to_out.0", h)

    def transformer(self, name, x, cond, heads):
        n, c, height, width = x.shape
        h = self.group_norm(name + ".norm", x, 1e-6).permute(0, 2, 3, 1).reshape(n, height * width, c)
        h = self.linear(name + ".proj_in", h)
        i = 0
        while f"{name}.transformer_blocks.{i}.norm1.weight" in self.w:
            b = f"{name}.transformer_blocks.{i}"
            y = self.layer_norm(b + ".norm1", h)
            h = h + self.attention(b + ".attn1", y, y, heads)
            h = h + self.attention(b + ".attn2", self.layer_norm(b + ".norm2", h), cond, heads)
            value, gate = self.linear(b + ".ff.net.0.proj", self.layer_norm(b + ".norm3", h)).chunk(2, -1)
            h = h + self.linear(b + ".ff.net.2", value * F.gelu(gate))
            i += 1
        h = self.linear(name + ".proj_out", h)
        return x + h.reshape(n, height, width, c).permute(0, 3, 1, 2)

    def heads(self, level):
        h = self.c.get("num_attention_heads") or self.c["attention_head_dim"]
        return h if isinstance(h, int) else h[level if len(h) > 1 else 0]

    def blocks(self, name, level, h, cond, emb, skips, pop):
        i = 0
        while f"{name}.resnets.{i}.conv1.weight" in self.w:
            if pop:
                h = torch.cat([h, skips.pop()], 1)
            h = self.resnet(f"{name}.resnets.{i}", h, emb)
            if f"{name}.attentions.{i}.norm.weight" in self.w:
                h = self.transformer(f"{name}.attentions.{i}", h, cond, self.heads(level))
            if not pop:
                skips.append(h)
            i += 1
        return h

    def __call__(self, x, t, cond):
        model, levels = self.c["block_out_channels"][0], len(self.c["block_out_channels"])
        angle = t[:, None] * torch.exp(-math.log(10000) * torch.arange(model // 2) / (model // 2))
        emb = self.linear("time_embedding.linear_1", torch.cat([angle.cos(), angle.sin()], 1))
        emb = F.silu(self.linear("time_embedding.linear_2", F.silu(emb)))
        h = self.conv("conv_in", x)
        skips = [h]
        for level in range(levels):
            h = self.blocks(f"down_blocks.{level}", level, h, cond, emb, skips, False)
            if level < levels - 1:
                h = self.conv(f"down_blocks.{level}.downsamplers.0.conv", h, 2)
                skips.append(h)
        h = self.resnet("mid_block.resnets.0", h, emb)
        h = self.transformer("mid_block.attentions.0", h, cond, self.heads(levels - 1))
        h = self.resnet("mid_block.resnets.1", h, emb)
        for i in range(levels):
            h = self.blocks(f"up_blocks.{i}", levels - 1 - i, h, cond, emb, skips, True)
            if i < levels - 1:
                h = self.conv(f"up_blocks.{i}.upsamplers.0.conv", F.interpolate(h, scale_factor=2.0, mode="nearest"))
        return self.conv("conv_out", F.silu(self.group_norm("conv_norm_out", h, self.c["norm_eps"])))


class Ours:
    """cmd/unet-eval as a coprocess that evaluates once for every line."""

    def __init__(self, folder, size, batch, inputs):
        program = os.path.join(os.path.dirname(__file__), "../../../bin/unet-eval")
        self.p = subprocess.Popen([program, folder, str(size), str(batch)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for array in inputs:
            self.p.stdin.write(array.tobytes())
        self.p.stdin.flush()
        self.first = np.frombuffer(self.p.stdout.read(inputs[0].nbytes), np.float32).reshape(inputs[0].shape)

    def time(self):
        self.p.stdin.write(b"\n")
        self.p.stdin.flush()
        return float(self.p.stdout.readline())


def main():
    a = argparse.ArgumentParser()
    a.add_argument("folder")
    a.add_argument("--size", type=int, default=32)
    a.add_argument("--batch", type=int, default=2)
    a.add_argument("--runs", type=int, default=7)
    a = a.parse_args()
    torch.set_num_threads(os.cpu_count())
    config = json.load(open(a.folder + "/unet/config.json"))
    model = UNet(config, weights(a.folder + "/unet/diffusion_pytorch_model.safetensors"))
    width = config["cross_attention_dim"]
    width = width if isinstance(width, int) else width[0]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(a.batch, config["in_channels"], a.size, a.size, generator=generator)
    cond = torch.randn(a.batch, 77, width, generator=generator)
    t = torch.full((a.batch,), 501.0)

    def run():
        start = time.perf_counter()
        out = model(x, t, cond)
        return time.perf_counter() - start, out

    with torch.inference_mode():
        plain = dict(model.w)
        last = {k: v.contiguous(memory_format=torch.channels_last) if v.dim() == 4 else v for k, v in plain.items()}
        layouts = {"NCHW": (plain, x), "channels_last": (last, x.contiguous(memory_format=torch.channels_last))}
        best = {}
        for name, (model.w, x) in layouts.items():
            run()
            best[name] = min(run()[0] for _ in range(3))
        name = min(best, key=best.get)
        model.w, x = layouts[name]
        layouts = plain = last = None
        ours = Ours(a.folder, a.size, a.batch, [x.permute(0, 2, 3, 1).contiguous().numpy(), cond.numpy()])
        theirs = run()[1].permute(0, 2, 3, 1).numpy()
        error = abs(ours.first - theirs).max() / abs(theirs).max()
        pairs = []
        for i in range(a.runs + 2):
            pair = ours.time(), run()[0]
            if i >= 2:
                pairs.append(pair)
    ratios = [o / p for o, p in pairs]
    draws = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(10000))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {name}; "
          f"largest difference of the outputs {error:.1e} of their largest value")
    print(f"ldm-mac {statistics.median(o for o, _ in pairs):.3f} s, torch {statistics.median(p for _, p in pairs):.3f} s, "
          f"ratio {statistics.median(ratios):.3f} [{draws[250]:.3f}, {draws[9750]:.3f}], {len(pairs)} pairs")


if __name__ == "__main__":
    main()
