"""What the cards of the models that write say in words."""

from _publishing import About

CODE_COMPLETER = About(
    title="Completes Python source, in the style of the standard library",
    job="It answers: how does this line, or this block, probably go on? It is small enough to "
    "complete while one types.",
    data="The source of Python's standard library, without its tests and its tables of character "
    "encodings, under the licence of the Python Software Foundation.",
    held_out="Measured on one file in twenty, chosen by a hash of its path. `line_completed` is "
    "the share of 200 held-out lines, each cut somewhere inside, whose rest is written exactly, "
    "after up to 500 characters before it. The LSTM saw the text once, the model four times.",
    limits=[
        "It completes what looks like code of the standard library. It does not know other "
        "packages, and what it writes need not be right, nor run.",
        "It reads at most 256 tokens, about 800 characters, of what stands before.",
        "Text of the standard library may come back word for word, under its licence.",
    ],
    usage='print(model.generate("for i in range(", max_new_tokens=32, temperature=0.0))',
    text="for i in range(",
    command="generate",
)

NUMBER_TRANSLATOR = About(
    title="Translates numbers below a million, and dates, between English, Chinese and digits",
    job="It answers: how is this number or date written in another language? A text begins with "
    'the direction, as in "English to Chinese: twenty-one"; the forms are English, Chinese and '
    "digits.",
    data="Pairs that a script writes by the rules of each language: British English, everyday "
    "Chinese, and digits with dates as 2024-05-03. Numbers have one to six digits, each count of "
    "digits as often as the others; dates are of the years 1900 to 2099.",
    held_out="`match_rate` is the share of texts without a mistake, of 3,000 held-out values of "
    "which no form was in the training data; then the same of each kind and direction. The LSTM "
    "saw the same pairs.",
    limits=[
        "Numbers of a million and more, fractions, negative numbers, ordinals, times and other "
        "forms of dates are not in its data; it writes something wrong for them.",
        'It translates the forms as they are written here: no American English without "and", no '
        "financial characters such as 贰, no short forms such as 3 May.",
        "It does not say when it does not know.",
    ],
    usage='print(model.generate("English to Chinese: two hundred and two thousand and twenty"))\n'
    'print(model.generate("Chinese to digits: 二〇二四年五月三日"))',
    text="English to digits: one hundred and five thousand and twenty",
    command="generate",
    license="apache-2.0",
)

SMALL_CHAT = About(
    title="A small chat model about Python's library, numbers and dates, in English and Chinese",
    job="It shows a turn format, a history and a stop at the end of a turn in a model that anybody "
    "can train. It answers what some functions do and where they are, spells numbers, knows "
    "weekdays and months, and tries sums below 100 and to remember your name.",
    data="Conversations of one to eight turns that a script writes by rules, in English and "
    "Chinese. What the functions do are the first lines of the docstrings of Python's standard "
    "library, under the licence of the Python Software Foundation. The answers alone are learnt.",
    held_out="Measured on the answers of 250 held-out conversations, each after the turns before "
    "it as they should be. The facts are those it was trained on; their phrasings are not, nor the "
    "numbers, dates, sums and names. `refers` are the answers that need an earlier turn, and "
    "`ended` those that ended by themselves. The LSTM saw the same conversations.",
    limits=[
        "It is a toy: it talks about nothing but what is named above, and nothing that it says was "
        "written by a person for the question.",
        "It gets most sums wrong, and mostly fails to repeat a name that it has not met before, as "
        "the table says. More training, and more sums in the data, are the first things to try.",
        "What it does not know it should refuse, but it may answer with a wrong docstring, or "
        "invent one for a function that does not exist.",
        "It reads 256 tokens, about eight short turns. System messages are left out.",
        "Phrasings that are far from those of its data are misunderstood.",
    ],
    usage="""
prompt = "<|im_start|>user\\nWhat does math.sqrt do?<|im_end|>\\n<|im_start|>assistant\\n"
print(model.generate(prompt, allow_special=True, return_prompt=False))
""",
    text="What does math.sqrt do?",
    command=None,
)
