using System.Globalization;

namespace Qkd.Distillation;

/// <summary>
/// What the codes were measured to correct, and from it the choice of code, puncturing and shortening for a block.
/// </summary>
/// <remarks>
/// What a frame does not know is k h(Q) bits of its k key bits and p of its p punctured symbols; of m checks a share m / (k h(Q) + p) above 1
/// is needed. This share was measured for each code plain, with half and with all of its puncturable symbols punctured, and with 35 % of its
/// symbols shortened; between these it is taken as linear, and beyond as it is at the last. That choice decides what leaks and how many
/// frames must ask again, never whether the result is right.
/// </remarks>
internal sealed class LdpcReach
{
    /// <summary>Error rates below this are taken for it: a block without an error yet is no promise.</summary>
    public const double LeastErrorRate = 0.0005;

    /// <summary>Taken where nothing is known.</summary>
    public const double DefaultErrorRate = 0.05;

    // Above what was measured, for a frame's own spread is in it but not the spread of the rate itself.
    private const double Margin = 1.01;

    private readonly Dictionary<int, List<(double Punctured, double Shortened, double Share)>> _points = [];

    private LdpcReach(TextReader table)
    {
        var names = Enumerable.Range(0, LdpcFamily.Count).ToDictionary(LdpcFamily.NameOf);
        while (table.ReadLine() is { } line)
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 4 || words[0] == "#" || !names.TryGetValue(words[0], out var index))
            {
                continue;
            }

            var (punctured, shortened) = (Number(words[1]), Number(words[2]));
            double symbols = LdpcFamily.SymbolsOf(index);
            var unknown = ((symbols - punctured - shortened) * Entropy(Number(words[3]))) + punctured;
            if (!_points.TryGetValue(index, out var points))
            {
                _points[index] = points = [];
            }

            points.Add((punctured / symbols, shortened / symbols, LdpcFamily.ChecksOf(index) / unknown));
        }

        static double Number(string word) => double.Parse(word, NumberStyles.Float, CultureInfo.InvariantCulture);
    }

    /// <summary>What was measured for the codes that are built in.</summary>
    public static LdpcReach Instance { get; } = Load();

    /// <summary>Binary entropy.</summary>
    public static double Entropy(double q) => q is <= 0 or >= 1 ? 0 : -(q * Math.Log2(q)) - ((1 - q) * Math.Log2(1 - q));

    /// <summary>The error rate up to 1/2 that has this binary entropy.</summary>
    public static double ErrorRateFor(double entropy)
    {
        var (low, high) = (0.0, 0.5);
        for (var i = 0; i < 60; i++)
        {
            var middle = (low + high) / 2;
            (low, high) = Entropy(middle) < entropy ? (middle, high) : (low, middle);
        }

        return low;
    }

    /// <summary>Chooses for a block what leaks least.</summary>
    /// <param name="bits">Bits of the block.</param>
    /// <param name="errorRate">Error rate to expect; NaN if nothing is known.</param>
    /// <returns>Null if no code promises to leak less than the bits themselves.</returns>
    public LdpcChoice? Choose(int bits, double errorRate)
    {
        var rate = double.IsNaN(errorRate) ? DefaultErrorRate : Math.Clamp(errorRate, LeastErrorRate, 0.5);
        LdpcChoice? best = null;
        long leastLeak = bits;
        foreach (var index in _points.Keys)
        {
            if (ChooseFor(index, bits, rate) is { } choice)
            {
                var leak = (long)choice.Frames * (LdpcFamily.ChecksOf(index) - choice.Punctured);
                if (leak < leastLeak)
                {
                    (best, leastLeak) = (choice, leak);
                }
            }
        }

        return best;
    }

    /// <summary>The fewest frames of a code, with the most puncturing that can be expected to be corrected.</summary>
    private LdpcChoice? ChooseFor(int index, int bits, double rate)
    {
        var symbols = LdpcFamily.SymbolsOf(index);
        var most = LdpcFrame.LargestPunctured(LdpcFamily.BlockRows[index / LdpcFamily.Lifts.Length], LdpcFamily.Lifts[index % LdpcFamily.Lifts.Length]);
        for (var frames = Math.Max(1, (int)(((long)bits + symbols - 1) / symbols)); frames <= 1 << 20; frames++)
        {
            // Rounded up: the longest frame of the block.
            var keyBits = (int)(((long)bits + frames - 1) / frames);
            var room = Math.Min(most, symbols - keyBits);
            if (IsReached(index, keyBits, 0, rate))
            {
                var (low, high) = (0, room);
                while (low < high)
                {
                    var middle = (low + high + 1) / 2;
                    (low, high) = IsReached(index, keyBits, middle, rate) ? (middle, high) : (low, middle - 1);
                }

                return new(index, frames, low);
            }

            // Shortened below what the checks can pay for, there is nothing left to be gained.
            if (keyBits <= LdpcFamily.ChecksOf(index))
            {
                return null;
            }
        }

        return null;
    }

    private bool IsReached(int index, int keyBits, int punctured, double rate)
    {
        double symbols = LdpcFamily.SymbolsOf(index);
        var share = ShareFor(_points[index], punctured / symbols, (symbols - keyBits - punctured) / symbols) * Margin;
        return LdpcFamily.ChecksOf(index) >= share * ((keyBits * Entropy(rate)) + punctured);
    }

    private static double ShareFor(List<(double Punctured, double Shortened, double Share)> points, double punctured, double shortened)
    {
        var plain = points[0].Share;
        var byPuncturing = points.Where(point => point.Shortened == 0 || point.Punctured > 0).Select(point => (point.Punctured, point.Share));
        var byShortening = points.Where(point => point.Punctured == 0).Select(point => (point.Shortened, point.Share));
        return Interpolate(byPuncturing, punctured) + Interpolate(byShortening, shortened) - plain;
    }

    private static double Interpolate(IEnumerable<(double At, double Value)> points, double at)
    {
        var last = (At: 0.0, Value: 0.0);
        foreach (var point in points.OrderBy(point => point.At))
        {
            if (point.At >= at)
            {
                return point.At == at ? point.Value : last.Value + ((point.Value - last.Value) * (at - last.At) / (point.At - last.At));
            }

            last = point;
        }

        return last.Value;
    }

    private static LdpcReach Load()
    {
        using var table = LdpcFamily.Open("reach.txt");
        return new(table);
    }
}

/// <summary>How a block is to be corrected.</summary>
/// <param name="Code">Number of the code in the family.</param>
/// <param name="Frames">Number of frames.</param>
/// <param name="Punctured">Punctured symbols of each.</param>
internal sealed record LdpcChoice(int Code, int Frames, int Punctured);
