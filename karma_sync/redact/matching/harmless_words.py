"""Words that code, forms and manuals put in the place of a secret."""

from karma_sync.redact.matching.secret_names import words

# A value that is made of words, one of them of these, stands for a secret.
STANDING_FOR = words(
    """example examples dummy sample fake mock mocked foo bar baz foobar todo tbd test tests testing
    demo goes here none null undefined nil true false required optional string"""
)
# A value of which all words are of these is no password.
HARMLESS = STANDING_FOR | words(
    """a access account actual add admin after again algorithm alias all allow allowed alt always
    an and any api app apply arg args argument array as ask async at attempt auth
    authentication auto autocomplete await backup base basic be bearer before blank block
    body bool boolean both box buffer button by byte bytes cache callback can cannot card
    cert change changed char characters check class clear click client code column command
    common component confirm confirmation connect const contains content context convert
    correct create created cred credential credentials crypt current custom data database
    date db decode decoded decrypt decrypted def default delete description dict different
    digest disable disabled display do doc does email empty enable enabled encode encoded
    encrypt encrypted enter entered entry enum env environment error event exist exists
    expected expire expired ext extra factory fail failed failure false field fields file
    final find first flag flow for forgot form format found from full func function generate
    generated generator get given global group handle handler has hash hashed hashing header
    hello help hidden hint host html icon id ignore in incorrect index info init initial
    input int integer interface internal invalid is it item iv json key keyboard keys kind
    label lambda last layout length less let level library like link list literal load local
    location lock log login long lookup lower mail main make manager mandatory manual map
    mask masked master match max maybe message meta method min minimum missing mode model
    modified modify module more must my name named names new next no node normal not note
    nothing now num number nvarchar object of off ok old on one only op open option options
    or original other output override own owner page panel param parameter params parse
    parsed parser part pass passphrase passphrases passwd password passwords path pattern
    peer pending permission phrase pin placeholder plain plugin policy post prefix present
    preset previous print printf println private process profile prompt prop property props
    protected protocol provided provider proxy public put pwd quoted random raw re read
    readonly real record recover recovery ref reference refresh regex register reject
    remember remote remove repeat replace request require requirements reset resolve
    resource response restore result return reuse revoked role root row rule run safe salt
    same save saved schema scheme score secret secrets secretstr section secure security see
    select self send sensitive server service session set setting settings setup short
    should show sign signin signup simple single size skip some source spec standard start
    state static status step stop storage store stored str strength strip strong struct
    submit success suffix super supplied switch table tag target task team temp template
    temporary text the this time timeout title tmp to toggle token tokens too tool total
    trim true type typed types undef unique unknown unset update updated upper url use used
    user username users using util valid validate validated validation validator value
    values var varchar variable verified verify version via view visibility visible wait
    warning was weak web when where which will with without word words wrapper write wrong
    xml yes you your zero"""
)
