namespace Qkd.Cli.Plots;

/// <summary>The unit in which a length of time is easiest to read.</summary>
/// <param name="Name">Its symbol.</param>
/// <param name="Picoseconds">Picoseconds in it.</param>
internal readonly record struct TimeUnit(string Name, double Picoseconds)
{
    private static readonly TimeUnit[] Units = [new("s", 1e12), new("ms", 1e9), new("µs", 1e6), new("ns", 1e3), new("ps", 1)];

    /// <summary>The largest unit of which the length is ten at least; picoseconds for what is shorter.</summary>
    public static TimeUnit For(double picoseconds) => Array.Find(Units, unit => Math.Abs(picoseconds) >= 10 * unit.Picoseconds) is { Name: not null } unit ? unit : Units[^1];
}
