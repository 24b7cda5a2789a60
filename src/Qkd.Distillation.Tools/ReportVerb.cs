using System.Globalization;
using System.Text;

namespace Qkd.Distillation.Tools;

/// <summary><c>report table page</c>: makes the page that shows a table of measured figures.</summary>
internal static class ReportVerb
{
    /// <summary>Thresholds of the degree distributions of arXiv:0901.2140, Table I, by block rows.</summary>
    private static readonly Dictionary<int, double> Thresholds = new()
    {
        [24] = .0199,
        [40] = .0392,
        [48] = .0504,
        [56] = .0633,
        [64] = .0766,
        [72] = .0904,
        [80] = .1071,
    };

    public static int Run(string[] arguments)
    {
        var page = new StringBuilder("""
            # The built-in LDPC codes

            Made by `qkd-codes construct`, measured by `qkd-codes measure`; this page by `qkd-codes report`. Each code's file says how it was made, seed included.

            - **threshold**: error rate up to which infinitely long codes of the degree distribution decode (arXiv:0901.2140, Table I); the others are our own and have none computed
            - **error rate**: the largest, in steps of 1 %, at which no more than one frame in 200 failed, up to 70 rounds each
            - **f**: (checks - punctured) / (key bits x h(error rate)), before any frame asks for more
            - **failures**: of how many frames; a failed frame asks for symbols and is not lost
            - **Mb/s**: key bits a second on one core at this error rate, from the lowest tenth of the times a round; at lower error rates it is more


            """);
        page.Append("| code | symbols | checks | threshold | punctured | shortened | error rate | f | failures | rounds | Mb/s |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
        foreach (var line in File.ReadLines(arguments[0]).Where(line => line.Length > 0 && line[0] != '#'))
        {
            var words = line.Split(' ');
            var index = Enumerable.Range(0, LdpcFamily.Count).Single(index => LdpcFamily.NameOf(index) == words[0]);
            var (symbols, checks) = (LdpcFamily.SymbolsOf(index), LdpcFamily.ChecksOf(index));
            var (punctured, shortened) = (int.Parse(words[1], CultureInfo.InvariantCulture), int.Parse(words[2], CultureInfo.InvariantCulture));
            var rate = double.Parse(words[3], CultureInfo.InvariantCulture);
            var efficiency = (checks - punctured) / ((symbols - punctured - shortened) * LdpcReach.Entropy(rate));
            var threshold = punctured + shortened == 0 && Thresholds.TryGetValue(checks * LdpcFamily.BlockColumns / symbols, out var known)
                ? known.ToString("0.00 %", CultureInfo.InvariantCulture)
                : "";
            page.Append(
                CultureInfo.InvariantCulture,
                $"| {words[0]} | {symbols} | {checks} | {threshold} | {punctured} | {shortened} | {rate:0.000 %} | {efficiency:0.000} | {words[5]} / {words[4]} | {words[6]} | {words[7]} |\n");
        }

        File.WriteAllText(arguments[1], page.ToString());
        return 0;
    }
}
