"""Texts for bundles: canonical ones, which every installation replays, and samples for a model's ranges."""

# ruff: noqa: RUF001 - letters of other scripts are meant
from dataclasses import dataclass

CANONICAL_QUERIES = (
    "how to wait a few seconds",
    "read a file line by line",
    "cordless drill with two batteries",
    "why do leaves turn red in autumn",
    "x",
    "café near the Köln cathedral ☕🙂",
    "電車の時刻表",
    "what should somebody who has never baked before know about keeping a sourdough starter alive in a"
    " cold kitchen over a whole winter without feeding it more than once a week",
)

CANONICAL_DOCUMENTS = (
    "Suspend the calling thread for the given number of seconds. The argument may be a fraction.",
    "Iterate over the lines of an open text file; each line keeps its newline at the end.",
    "18 V cordless hammer drill, two 4 Ah batteries, charger and case",
    "In autumn a tree stops making chlorophyll. The green fades, and red pigments that the leaf makes"
    " from its sugars begin to show, most of all after bright days and cool nights.",
    "A sourdough starter is flour and water in which yeasts and bacteria live. Kept cool it slows down:"
    " in a refrigerator one feeding a week is enough. Take it out the evening before baking, stir in"
    " equal weights of flour and water, and wait until it has risen and is full of bubbles. If a dark"
    " liquid stands on top, pour it off or stir it in; it is harmless. A starter that smells of nail"
    " polish is hungry, one with pink or orange streaks is lost. Dry a little of it on baking paper as"
    " insurance: the flakes keep for years and wake up within three days.",
    "",
    "Straßenbahn 🚋 — Fahrplan: Mo-Fr 05:10, 05:30, 05:50",
    "時刻表 東京 → 大阪",
)

SAMPLE_QUERIES = (
    "cheap flights in november",
    "difference between a list and a tuple",
    "can dogs eat raw carrots",
    "white 60 inch bathroom vanity",
    "who painted the ceiling of the sistine chapel",
    "error 403 when pushing to a protected branch",
    "lift to drag ratio of a swept wing",
    "vitamin d and bone density",
    "python sort dictionary by value descending",
    "best time to prune apple trees",
    "what is the capital gains tax on a house",
    "stainless steel screws m4 x 20",
    "how long does a passport renewal take",
    "symptoms of iron deficiency in women",
    "replace a kitchen tap",
    "the 1986 world cup final score",
    "zip two lists together",
    "where do eels breed",
    "ceiling fan remote not working",
    "treaty that ended the thirty years war",
    "list files newer than a week",
    "is green tea good for you?",
    "boundary layer transition at high mach numbers",
    "usb-c to hdmi adapter 4k",
)

SAMPLE_DOCUMENTS = (
    "The European eel spawns in the Sargasso Sea. Its larvae drift with the Gulf Stream for two years"
    " or more before they reach the coasts of Europe, where they turn into glass eels and swim up the"
    " rivers.",
    "sorted(iterable, key=None, reverse=False): return a new list with the items in ascending order."
    " The key function is called once for every item; reverse=True gives descending order.",
    "White vanity with ceramic top, 60 in. wide, two basins, four drawers, soft-close hinges (tap not"
    " included)",
    "Measurements were made of the pressure on a 45 degree swept wing at Mach numbers from 0.6 to 1.4."
    " The ratio of lift to drag fell by a third between 0.9 and 1.05, and the centre of pressure moved"
    " aft by 12 % of the mean chord.",
    "Patients with a serum level below 20 ng/ml had lower bone mineral density at the hip (p < 0.01),"
    " and a daily supplement of 800 IU with calcium reduced fractures over three years by about a fifth.",
    "HTTP 403: the server understood the request and refuses it. Unlike 401, signing in again changes"
    " nothing: the account lacks the right. For a protected branch, ask an administrator or open a pull"
    " request.",
    "The Peace of Westphalia, signed in October 1648 in Münster and Osnabrück, ended the Thirty Years' War.",
    "Argentina 3, West Germany 2. Brown 23', Valdano 55', Burruchaga 83'; Rummenigge 74', Völler 80'.",
    "USB-C to HDMI 2.0 adapter, 3840 x 2160 at 60 Hz, aluminium, 15 cm cable, black",
    "Gains on the sale of a main home are exempt up to a limit where the owner lived in it for two of"
    " the last five years; above it, the rate depends on income and on how long the home was held.",
)

SCRIPT_QUERIES = (
    "как подключить принтер к компьютеру",
    "πώς φτιάχνω ψωμί στο σπίτι",
    "كيف أزرع الطماطم في الشرفة",
    "איך מתקנים אופניים",
    "बिजली का बिल कैसे कम करें",
    "วิธีปลูกต้นไม้ในกระถาง",
    "자전거 타이어 바꾸는 방법",
    "如何学习弹钢琴",
)
"""A query in each of eight scripts: Cyrillic, Greek, Arabic, Hebrew, Devanagari, Thai, Hangul, Han."""

SCRIPT_DOCUMENTS = (
    "Подключите принтер кабелем USB, включите его и выберите в настройках системы пункт «Принтеры».",
    "Ζυμώνουμε αλεύρι, νερό, μαγιά και αλάτι, το αφήνουμε να φουσκώσει και ψήνουμε στους 220 βαθμούς.",
    "تحتاج الطماطم إلى ست ساعات من الشمس كل يوم، وتربة رطبة، وأصيص بعمق ثلاثين سنتيمترا.",
    "הופכים את האופניים, משחררים את הגלגל, מוציאים את הפנימית ומדביקים טלאי על החור.",
    "एलईडी बल्ब लगाएँ, पुराने पंखे बदलें और दिन में उपकरणों को पूरी तरह बंद कर दें।",
    "เลือกกระถางที่มีรูระบายน้ำ ใส่ดินร่วน รดน้ำตอนเช้า และวางไว้ในที่ที่มีแสงรำไร",
    "바퀴를 떼고 타이어 레버로 타이어를 벗긴 다음 새 튜브를 넣고 공기를 채웁니다.",
    "每天练习三十分钟：先练音阶，再用慢速分手练习新的曲子，最后双手合奏。",
)


@dataclass(frozen=True)
class ExportTexts:
    """The texts that a bundle is measured and compared on; the canonical ones come first.

    Of `num_ranked` queries and documents, the first ones, the order is compared too; None is all. How a model
    orders texts that it cannot read is chance.
    """

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    num_ranked: tuple[int, int] | None = None

    def select_ranked(self) -> "ExportTexts":
        """Return the texts of which the order is compared; a model's ranges are measured on these too."""
        queries, documents = self.num_ranked or (None, None)
        return ExportTexts(self.queries[:queries], self.documents[:documents])


IN_LATIN_SCRIPT = ExportTexts(
    (*CANONICAL_QUERIES, *SAMPLE_QUERIES), (*CANONICAL_DOCUMENTS, *SAMPLE_DOCUMENTS)
)
"""Texts for English models; a few words are in other scripts."""

IN_MANY_SCRIPTS = ExportTexts(
    (*IN_LATIN_SCRIPT.queries, *SCRIPT_QUERIES),
    (*IN_LATIN_SCRIPT.documents, *SCRIPT_DOCUMENTS),
    (len(IN_LATIN_SCRIPT.queries), len(IN_LATIN_SCRIPT.documents)),
)
"""Texts for models whose languages are not known."""

ALL_RANKED = ExportTexts(IN_MANY_SCRIPTS.queries, IN_MANY_SCRIPTS.documents)
"""The same texts, for models that read all of these scripts."""
