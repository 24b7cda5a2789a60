using System.Runtime.CompilerServices;

namespace Qkd.Sim.Optics;

/// <summary>What a stream of random numbers is for: streams of different purpose never share a key.</summary>
internal enum Stream : ulong
{
    Pulses = 1,
    Eavesdropper,
    DarkCounts,
    Afterpulses,
    FibreRotation,
    Drift,
}

/// <summary>
/// Counter-based generator: word <c>i</c> of a stream is <c>mix(key + i g)</c>, the finaliser of SplitMix64 (Steele, Lea, Flood,
/// "Fast splittable pseudorandom number generators", 2014) over a Weyl sequence. Any word can be had at once, without the words before
/// it, and words do not depend on each other, so that a processor computes several at a time. Not secret.
/// </summary>
internal struct CounterRandom
{
    private const ulong Weyl = 0x9E3779B97F4A7C15;

    private ulong _state;

    private CounterRandom(ulong state) => _state = state;

    /// <summary>Key of a stream.</summary>
    public static ulong Key(ulong seed, Stream purpose, ulong index = 0) =>
        Mix(Mix(Mix(seed) + ((ulong)purpose * Weyl)) + (index * Weyl));

    /// <summary>The stream of a key, from word <paramref name="position"/> on.</summary>
    public static CounterRandom At(ulong key, ulong position) => new(key + (position * Weyl));

    /// <summary>One word of a stream.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Word(ulong key, ulong position) => Mix(key + (position * Weyl));

    /// <summary>The next word.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Next() => Mix(_state += Weyl);

    /// <summary>Evenly distributed within (0, 1).</summary>
    public double NextUnit() => ((Next() >> 11) + 0.5) * (1.0 / (1UL << 53));

    /// <summary>Standard normal, by Box and Muller; for rare use.</summary>
    public double NextGaussian() => Math.Sqrt(-2 * Math.Log(NextUnit())) * Math.Cos(2 * Math.PI * NextUnit());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Mix(ulong x)
    {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
