using System.Globalization;
using Qkd.Distillation.Tools;

CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
return args switch
{
    ["construct", _, ..] => ConstructVerb.Run(args[1..]),
    ["measure", _, _, ..] => MeasureVerb.Run(args[1..]),
    ["report", _, _] => ReportVerb.Run(args[1..]),
    ["tables", _, _] => TablesVerb.Run(args[1..]),
    ["trial", _, _, _, _, _] => TrialVerb.Run(args[1..]),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("""
        construct FOLDER [NAME ...]          makes the codes of the family, or those named
        measure TABLE FRAMES [NAME ...]      finds the error rates that they reach, with so many frames each
        report TABLE PAGE                    makes the page that shows the measured figures
        tables PAGE FRAMES                   puts efficiency and failures of both methods into a page, with at least so many frames each
        trial NAME RATE FRAMES PUNCTURED SHORTENED    decodes so many frames at an error rate
        """);
    return 2;
}
