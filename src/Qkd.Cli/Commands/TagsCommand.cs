using System.CommandLine;
using Qkd.Cli.Tags;

namespace Qkd.Cli.Commands;

/// <summary><c>qkd tags</c>: files of time tags, from any instrument.</summary>
internal static class TagsCommand
{
    public static Command Create() => new("tags", """
        Files of time tags: PicoQuant (PTU, ht2, ht3), S-Fifteen, ID Quantique, quTAG.

          qkd tags info recording.ptu
          qkd tags convert recording.ptu tags.bin --to qutag
          qkd tags rates recording.ptu --detectors --plot rates.png
          qkd tags histogram lifetime.ptu --fit --plot lifetime.svg
          qkd tags correlate recording.ptu --channels 1,2 --plot g2.png
          qkd tags sync bob.ptu --period-ps 10000 --detectors 1,2,3,4
        """)
    {
        new InfoVerb().Create("info", "What a file is, and what is in it."),
        new ConvertVerb().Create("convert", "Writes the same tags in another format."),
        new RatesVerb().Create("rates", "Count rates over time; with --detectors also dead time, afterpulses and the rate without them."),
        new HistogramVerb().Create("histogram", "Histogram of the delays of a T3 file, of the times from a start to a stop, or of times folded at a period."),
        new CorrelateVerb().Create("correlate", "Second-order correlation of two channels or of one with itself, and coincidences of any number."),
        new SyncVerb().Create("sync", "Finds a sender's clock in a receiver's tags, by its light and pilots or by its marker; with two files, the receivers of a pair source in each other."),
    };
}
