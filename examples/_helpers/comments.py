"""Comments of a forum about cooking, drawn from the templates and sentences in data/comments.tsv.

A template has slots for words. No template and no sentence is in two splits. Names, dishes, sites,
numbers and the like differ between the splits too, while the words that carry an insult are shared.
"""

import csv
import pathlib
import random

import lmzoo

FILE = pathlib.Path(__file__).parents[1] / "data" / "comments.tsv"
LABELS = ["insult", "threat", "spam", "personal", "off-topic"]
SPLITS = ("train", "validation", "test")

# By language, for all splits.
SHARED = {
    "en": {
        "fool": "fool idiot moron clown loser donkey twit imbecile worm nobody",
        "mean": "pathetic stupid ridiculous disgusting useless miserable brainless dumb",
        "when": "tonight|tomorrow|one of these days|on your way home|this weekend|very soon",
    },
    "zh": {
        "fool": "傻瓜 笨蛋 白痴 小丑 废物 蠢货 蠢驴 草包",
        "mean": "可笑 没用 愚蠢 恶心 可怜 无聊",
        "when": "今晚 明天 总有一天 下班路上 这个周末 很快",
    },
}
# By language, words for each split, which are dealt out in turn.
OWN = {
    "en": {
        "dish": "lasagna,pancakes,curry,apple pie,goulash,ramen,risotto,stew,dumplings,brownies,"
        "paella,meatloaf,tacos,onion soup,cheesecake,fried rice,chili,quiche",
        "item": "butter,garlic,ginger,flour,cream,basil,sugar,lentils,pepper,vinegar,honey,rice,"
        "parsley,mustard,eggs,cheese,mint,salt",
        "good": "wonderful,just right,crisp,very tasty,light,better than ever,lovely,so soft,great",
        "bad": "dry,soggy,burned,too salty,flat,raw inside,chewy,bland,far too sweet",
        "goods": "watches,pills,handbags,loans,followers,phones,tickets,crypto coins,sunglasses,"
        "sneakers,gift cards,diet tea,perfume,game codes,credit",
        "name": "Mary Hill,John Brandt,Sue Park,Omar Aziz,Petra Novak,Luis Vega,Ann Moss,"
        "Ivan Petrov,Tim Hood,Rosa Klein,Ken Ito,Eva Lind",
        "team": "Rovers,Tigers,United,Wolves,Rangers,Eagles,City,Sharks,Bears",
        "gadget": "laptop,printer,phone,camera,tablet,router,television,headset,console",
        "film": "space film,spy film,detective series,horror film,cartoon,western,comedy,drama,"
        "war film",
        "town": "Leeds,Lyon,Porto,Gdansk,Turin,Ghent,Bergen,Graz,Cork",
        "hobby": "guitar,violin,drums,flute,piano,cello",
    },
    "zh": {
        "dish": "红烧肉,炒饭,饺子,酸辣汤,蛋糕,凉面,回锅肉,包子,豆腐汤,糖醋鱼,馒头,火锅",
        "item": "生姜,大蒜,酱油,白糖,鸡蛋,香菜,醋,面粉,辣椒,花椒,葱,盐",
        "good": "味道很好,正合适,很香,很脆,特别软,非常好吃",
        "bad": "太干了,糊了,太咸了,没熟,没味道,太甜了",
        "goods": "手表,减肥药,名牌包,贷款,粉丝,手机,门票,香水,球鞋,点卡,面膜,墨镜",
        "name": "李梅,王强,张丽,陈晨,刘洋,赵敏,周杰,吴芳,孙浩",
        "team": "红星队,蓝鲸队,白马队,青山队,飞鹰队,金狮队",
        "gadget": "电脑,打印机,手机,相机,平板,电视",
        "film": "科幻片,谍战片,喜剧,动画片,恐怖片,连续剧",
        "town": "苏州,青岛,长沙,大连,厦门,合肥",
        "hobby": "吉他,小提琴,钢琴,笛子,二胡,架子鼓",
    },
}
SITES = "shop deal cash win gift lucky star mega best".split()
STREETS = {
    "en": "Oak Road,Park Lane,Hill Street,River Way,Church Street,Lake Drive".split(","),
    "zh": "中山路,人民路,和平街,花园路,长江路,建设街".split(","),
}


def fill(template, language, split, generator):
    """A template with a word in each slot, drawn for its split."""
    offset = SPLITS.index(split)

    def draw(slot):
        if slot in SHARED[language]:
            words = SHARED[language][slot]
            parts = words.split("|") if "|" in words else words.split()
            return generator.choice(parts)
        if slot in OWN[language]:
            return generator.choice(OWN[language][slot].split(",")[offset::3])
        digits = "".join(generator.choices("0123456789", k=4))
        site = generator.choice(SITES[offset::3])
        name = generator.choice(OWN["en"]["name"].split(",")[offset::3]).lower()
        return {
            "number": str(generator.randint(2, 45) * 5),
            "money": f"{generator.randint(2, 99) * 10} {'euros' if language == 'en' else '元'}",
            "phone": generator.choice([f"555-{digits}", f"555 {digits}", f"0555{digits}"]),
            "site": f"www.{site}{digits[:2]}.example",
            "email": f"{name.replace(' ', generator.choice('._'))}{digits[0]}@mail.example",
            "address": f"{digits[:2]} {generator.choice(STREETS['en'][offset::3])}"
            if language == "en"
            else f"{generator.choice(STREETS['zh'][offset::3])}{digits[:2]}号",
        }[slot]

    before, opening, rest = template.partition("{")
    if not opening:
        return before
    slot, _, rest = rest.partition("}")
    return before + draw(slot) + fill(rest, language, split, generator)


def read_lines():
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def draw_rows(split, count, seed):
    """Comments from templates, then those by hand: Rows with `text`, `label` and `kind`."""
    found = draw_comments(split, count, seed) + read_sentences(split)
    return lmzoo.data.make_rows(**{name: [each[name] for each in found] for name in found[0]})


def draw_comments(split, count, seed):
    """Comments of one to four sentences: list of dicts."""
    generator = random.Random(f"{split} {seed}")
    lines = [row for row in read_lines() if row["split"] == split and row["kind"] == "template"]
    comments = {}
    while len(comments) < count:
        language = generator.choice(("en", "en", "zh"))
        own = [row for row in lines if row["language"] == language]
        # Most comments are harmless, and most others break one rule.
        wanted = generator.sample(LABELS, generator.choices((0, 1, 2), (4, 5, 1))[0])
        wanted += [""] * generator.choices((0, 1, 2), (0 if not wanted else 3, 2, 1))[0]
        generator.shuffle(wanted)
        parts = [
            fill(generator.choice(find(own, label))["text"], language, split, generator)
            for label in wanted
        ]
        labels = [label for label in LABELS if label in wanted]
        text = (" " if language == "en" else "").join(dict.fromkeys(parts))
        comments[text] = {"text": text, "label": labels, "kind": "template"}
    return list(comments.values())


def find(lines, label):
    return [row for row in lines if row["labels"] == label]


def read_sentences(split):
    """The comments that were written by hand, in the form of `draw_comments`."""
    return [
        {"text": row["text"], "label": list(filter(None, row["labels"].split(","))), "kind": "hand"}
        for row in read_lines()
        if row["split"] == split and row["kind"] == "sentence"
    ]
