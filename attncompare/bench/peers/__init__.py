"""What people would train with instead: models of equal size, each with the loss of one batch; all but one are others' code.

sizes.py            what all of them are built from, and whether they came out equally large
handwritten.py      a decoder and a translator as one would write them with torch alone
gpt2.py             Hugging Face's GPT-2
x_decoder.py        a decoder of x-transformers
marian.py           Hugging Face's Marian, for training and for beam search
torch_stack.py      torch.nn.Transformer
installed.py        libraries of the extra ``bench``, which may not be there
"""
