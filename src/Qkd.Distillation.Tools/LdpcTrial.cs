using System.Diagnostics;

namespace Qkd.Distillation.Tools;

/// <summary>Decodes frames with random errors and counts.</summary>
internal sealed class LdpcTrial : IDisposable
{
    private readonly LdpcCode _code;
    private readonly LdpcFrame _layout;
    private readonly LdpcDecoder _decoder;
    private readonly Random _random;
    private readonly ulong[] _sent;
    private readonly ulong[] _received;
    private readonly ulong[] _found;
    private readonly ulong[] _syndrome;

    public LdpcTrial(LdpcCode code, int punctured, int keyBits, int seed)
    {
        _code = code;
        _layout = new(code, punctured, keyBits);
        _decoder = new(code);
        _random = new(seed);
        (_sent, _received, _found) = (new ulong[code.Symbols / 64], new ulong[code.Symbols / 64], new ulong[code.Symbols / 64]);
        _syndrome = new ulong[code.Checks / 64];
    }

    /// <summary>Decodes frames.</summary>
    /// <param name="errorRate">Probability of each key bit to be wrong.</param>
    /// <param name="frames">Number of frames.</param>
    /// <param name="tolerated">Failures after which it gives up.</param>
    public LdpcFigures Run(double errorRate, int frames, int tolerated)
    {
        var figures = new LdpcFigures();
        var reliability = LdpcTables.ReliabilityOf(errorRate);
        var key = new ulong[BitString.WordCount(_layout.KeyBits)];
        var random = new ulong[BitString.WordCount(_layout.Punctured)];
        while (figures.Frames < frames && figures.Failures <= tolerated)
        {
            Draw(key);
            Draw(random);
            Array.Clear(_sent);
            Array.Clear(_received);
            _layout.Spread(key, 0, _sent);
            _layout.Puncture(random, _sent);
            _code.Syndrome(_sent, _syndrome);

            for (var bit = Gap(errorRate); bit < _layout.KeyBits; bit += 1 + Gap(errorRate))
            {
                key[bit >> 6] ^= 1UL << (int)bit;
            }

            _layout.Spread(key, 0, _received);
            var start = Stopwatch.GetTimestamp();
            _decoder.Begin(_received, _syndrome, reliability);
            _layout.Prepare(_decoder);
            var rounds = _decoder.Run(LdpcDecoder.MostRounds);
            _decoder.Read(_found);
            var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            var failed = rounds == 0 || !_found.AsSpan().SequenceEqual(_sent);
            figures.Add(failed, rounds == 0 ? LdpcDecoder.MostRounds : rounds, seconds);
        }

        return figures;
    }

    public void Dispose() => _decoder.Dispose();

    private void Draw(ulong[] words)
    {
        foreach (ref var word in words.AsSpan())
        {
            word = (ulong)_random.NextInt64(long.MinValue, long.MaxValue);
        }
    }

    /// <summary>Number of right bits before the next wrong one.</summary>
    private long Gap(double errorRate) =>
        errorRate <= 0 ? int.MaxValue : (long)Math.Min(int.MaxValue, Math.Log(1 - _random.NextDouble()) / Math.Log(1 - errorRate));
}

/// <summary>What came out.</summary>
internal sealed class LdpcFigures
{
    private readonly List<double> _secondsARound = [];

    public int Frames { get; private set; }

    public int Failures { get; private set; }

    public long Rounds { get; private set; }

    /// <summary>Rounds a frame, failures with all that they were given.</summary>
    public double MeanRounds => (double)Rounds / Frames;

    /// <summary>
    /// Time of a frame by its mean number of rounds. Of the time of a round the lowest tenth is taken: what others do on the machine only adds.
    /// </summary>
    public double SecondsAFrame
    {
        get
        {
            var sorted = _secondsARound.Order().ToArray();
            return sorted[sorted.Length / 10] * MeanRounds;
        }
    }

    public void Add(bool failed, int rounds, double seconds)
    {
        Frames++;
        Failures += failed ? 1 : 0;
        Rounds += rounds;
        _secondsARound.Add(seconds / rounds);
    }
}
