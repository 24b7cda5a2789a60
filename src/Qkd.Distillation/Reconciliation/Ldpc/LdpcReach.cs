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

    /// <summary>The fewest frames of a code that can be expected to be corrected, with the most puncturing for which that still holds.</summary>
    private LdpcChoice? ChooseFor(int index, int bits, double rate)
    {
        var (symbols, checks) = (LdpcFamily.SymbolsOf(index), LdpcFamily.ChecksOf(index));

        // With more frames than the highest there are no more key bits in a frame than checks, and nothing to be gained.
        var lowest = (int)(((long)bits + symbols - 1) / symbols);
        var highest = Math.Max(lowest, bits / checks);
        var frames = FirstOf(lowest, highest, frames => IsReached(index, KeyBits(frames), 0, rate));
        if (bits == 0 || !IsReached(index, KeyBits(frames), 0, rate))
        {
            return null;
        }

        var room = Math.Min(LdpcFrame.LargestPunctured(checks / LdpcFamily.LiftOf(index), LdpcFamily.LiftOf(index)), symbols - KeyBits(frames));
        var unpunctured = FirstOf(0, room, left => IsReached(index, KeyBits(frames), room - left, rate));
        return new(index, frames, room - unpunctured);

        // Of the longest frame.
        int KeyBits(int frames) => (int)(((long)bits + frames - 1) / frames);
    }

    /// <summary>The first number from low to high of which something holds, as it does of all that follow; high if it holds of none before.</summary>
    private static int FirstOf(int low, int high, Func<int, bool> holds)
    {
        while (low < high)
        {
            var middle = low + ((high - low) / 2);
            (low, high) = holds(middle) ? (low, middle) : (middle + 1, high);
        }

        return low;
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
        var byPuncturing = points.Where(point => point.Shortened == 0).Select(point => (point.Punctured, point.Share));
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
